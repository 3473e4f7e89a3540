"""The engine on NumPy arrays: recurrent layers in one direction or both, forward and backward.

    Layer                    weights that are checked once, to run any number of times
    run, backprop            a layer over a batch, made for one run; the gradients of a recorded run
    Direction                the weights and the sense of one reading
    Bins                     numbers that enter by where they lie in bins
    reference                the same in float64 and plain NumPy: the oracle of the tests
    instruction_sets, ...    what the machine offers, and what is in use

Importing it needs NumPy and the compiled extension, nothing else.
"""

from bothways.engine import reference
from bothways.engine.arguments import Direction, DirectionGradients, Dropout, Gradients, Result
from bothways.engine.bins import Bins
from bothways.engine.machine import instruction_set, instruction_sets, set_instruction_set, set_threads, threads
from bothways.engine.native import Layer, Tape, backprop, run

__all__ = [
    "Bins",
    "Direction",
    "DirectionGradients",
    "Dropout",
    "Gradients",
    "Layer",
    "Result",
    "Tape",
    "backprop",
    "instruction_set",
    "instruction_sets",
    "reference",
    "run",
    "set_instruction_set",
    "set_threads",
    "threads",
]
