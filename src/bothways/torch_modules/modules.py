"""The recurrent modules of torch, `nn.LSTM`, `nn.GRU` and `nn.RNN`, on the engine."""

from __future__ import annotations

import functools
import itertools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence

from bothways.acceleration import NATIVE, Acceleration, LayerReport
from bothways.engine import Direction, Dropout, _native, memory, torch_tensors
from bothways.engine.arguments import PRECISIONS
from bothways.engine.memory import Options
from bothways.errors import InputError
from bothways.spec import CELLS, cell_number

# By `mode` of the module: the cell, and its gates in the order of torch.
_CELLS = {
    "LSTM": ("lstm", ("input", "forget", "candidate", "output")),
    "GRU": ("gru", ("reset", "update", "candidate")),
    "RNN_TANH": ("rnn", ("output",)),
    "RNN_RELU": ("rnn_relu", ("output",)),
}
_empty, _zeros = (functools.partial(make, dtype=torch.float32, device="cpu") for make in (torch.empty, torch.zeros))
_SHORT, _FEW = 8, 128  # calls of fewer steps, and fewer steps of all rows together, are faster in torch
_PLAIN = (torch.Tensor, torch.nn.Parameter)  # subclasses may hold something else than numbers
_KEPT = weakref.WeakKeyDictionary[Any, tuple[Any, list[Any]]]()
"""The weights of modules as the engine multiplies them, with a digest of those of torch that they are made of."""
_STOCK = {kind.forward for kind in (torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN)}


def accelerate(model: torch.nn.Module) -> Acceleration:
    """Run the `nn.LSTM`, `nn.GRU` and `nn.RNN` of a torch model on the engine, in place.

    The report says which run there, and why others do not.
    Parameters, state dicts, hooks and numbers stay those of torch, for its own dropout, too; gradients are exact and
    can be had once (no double backward). Padding costs nothing in a `PackedSequence`. A copy or a pickle of the
    model is accelerated as well; the pickle needs bothways where it is loaded, a state dict does not. Modules that move
    to another device or dtype are torch's for as long as they are there, and so are all under autocast, in `torch.func`
    and forward mode, in `torch.jit.trace` and in `torch.export`, and calls of a few steps, in which torch is faster.
    `undo()` comes before `torch.jit.script`; it gives the modules back to torch, also where an earlier call, or that of
    a model of which this one is a copy, had put them on the engine.
    """
    reports, undoing = [], []
    for path, module in model.named_modules():
        if isinstance(module, (torch.nn.RNNBase, torch.nn.RNNCellBase)):
            kind, engine = type(module).__name__, engine_of(module)
            reports.append(LayerReport(path or kind, kind, engine))
            if engine == NATIVE:
                module.forward = _Forward(module)
                undoing.append(module.forward.remove)
    return Acceleration(reports, undoing)


def engine_of(module: Any) -> str:
    """`"native"`, or the reason for which torch runs `module` instead."""
    kind = type(module).__name__
    if isinstance(module, torch.nn.RNNCellBase):
        return f"{kind} is one step; the engine has whole sequences"
    hooked = vars(module).get("forward")
    if type(module).forward not in _STOCK or (hooked and not isinstance(hooked, _Forward)):
        return f"{kind} has its own forward; the engine has that of torch"
    if module.proj_size:
        return f"proj_size={module.proj_size}; the engine has no projections"
    for weight in itertools.chain(*module.all_weights):
        if weight.dtype != torch.float32:
            return f"computes in {weight.dtype}; the engine has torch.float32"
        if not weight.is_cpu:
            return f"is on {weight.device}; the engine is for the CPU"
    return NATIVE


class _Forward:
    """The `forward` of one module, which it does not keep alive. Deep copies and pickles of that get their own."""

    def __init__(self, module: Any) -> None:
        self._module = weakref.ref(module)

    def __call__(self, input: Any, hx: Any = None) -> Any:
        module = self._module()
        if module is None:
            raise InputError("The module of this `forward` is gone. Keep the module, and call that.")
        return _forward(module, input, hx)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Forward, (self._module(),)

    def remove(self) -> None:
        """Give the module, if there still is one, back to torch."""
        if (module := self._module()) is not None:
            vars(module).pop("forward", None)

    __code__ = __call__.__code__  # torch.export looks where it is

    @property
    def __globals__(self) -> dict[str, Any]:
        raise AttributeError(  # which torch.jit.script lets through, and who asks whether there are any does not mind
            "torch.jit.script cannot compile what runs on the engine. First call undo() of what accelerate returned."
        )


def _with_its_own_forward(copied: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`copied`, a way to copy the attributes of a module, for copies that are not to call the original."""

    @functools.wraps(copied)
    def function(module: Any) -> Any:
        twin = copied(module)
        if isinstance(vars(twin).get("forward"), _Forward):
            twin.forward = _Forward(twin)
        return twin

    return function


def _copied(module: Any) -> Any:
    """What `copy.copy` does where a class says nothing."""
    make, arguments, *state = module.__reduce_ex__(4)
    twin = make(*arguments)
    if state and state[0]:
        twin.__setstate__(state[0])
    return twin


# An attribute of a module is not told whose copy it is in, so the two ways of torch to copy attributes see to it.
torch.nn.RNNBase.__copy__ = _with_its_own_forward(_copied)
torch.nn.RNNBase._replicate_for_data_parallel = _with_its_own_forward(torch.nn.RNNBase._replicate_for_data_parallel)


def _forward(module: Any, input: Any, hx: Any = None) -> Any:
    """What `module.forward` returns; torch gets all that the engine is not for, mistakes among it."""
    x, batch_sizes, order, back = input if isinstance(input, PackedSequence) else (input, None, None, None)
    if batch_sizes is not None and torch.compiler.is_compiling():  # shapes come of its numbers: one break, not several
        return torch.compiler.disable(_forward)(module, input, hx)
    pair = module.mode == "LSTM" and isinstance(hx, (tuple, list)) and len(hx) > 0
    states = [] if hx is None else list(hx) if pair else [hx]
    if not _fits(module, x, states, batch_sizes):
        return type(module).forward(module, input, hx)
    if batch_sizes is not None:
        padding = _Padding(batch_sizes)
        outputs, states = _run(module, padding.pad(x), _permuted(states, order), padding=padding)
        outputs, states = PackedSequence(padding.pack(outputs), batch_sizes, order, back), _permuted(states, back)
    elif x.dim() == 2:
        outputs, states = _run(module, x[:, None], [state[:, None] for state in states])
        outputs, states = outputs[:, 0], [state[:, 0] for state in states]
    else:
        outputs, states = _run(module, x, states, time_major=not module.batch_first)
    return outputs, tuple(states) if len(states) > 1 else states[0]


def _fits(module: Any, x: Any, states: Sequence[Any], batch_sizes: Any) -> bool:
    """Whether the engine can run a call; where torch refuses it, it cannot."""
    if torch.is_autocast_enabled("cpu") or torch.jit.is_tracing() or torch_tensors.is_exporting():
        return False
    if torch_tensors.are_transformed() or torch_tensors.is_in_forward_mode() or torch_tensors.is_watched():
        return False
    if engine_of(module) != NATIVE:
        return False
    for tensor in (x, *states):
        if type(tensor) not in _PLAIN or tensor.is_nested or tensor.layout != torch.strided:
            return False
        if tensor.dtype != torch.float32 or not tensor.is_cpu:
            return False
    if x.dim() not in ((2, 3) if batch_sizes is None else (2,)) or x.shape[-1] != module.input_size or not x.numel():
        return False
    rows = [int(batch_sizes[0])] if batch_sizes is not None else [x.shape[not module.batch_first]] * (x.dim() - 2)
    time = len(batch_sizes) if batch_sizes is not None else x.shape[0 if x.dim() == 2 else module.batch_first]
    if time < _SHORT and x.numel() < _FEW * x.shape[-1] and not torch.compiler.is_compiling():
        return False
    needed = (module.num_layers * (1 + module.bidirectional), *rows, module.hidden_size)
    count = len(CELLS[_CELLS[module.mode][0]].states)
    return len(states) in (0, count) and all(tuple(state.shape) == needed for state in states)


def _run(
    module: Any, x: Any, states: Sequence[Any], *, time_major: bool = True, padding: _Padding | None = None
) -> tuple[Any, list[Any]]:
    """The outputs for x, `(time, batch, features)` if `time_major`, else batch first; and each state, of all layers."""
    x = x.contiguous()  # once, for both passes
    weights, both = module.all_weights, 1 + module.bidirectional
    mask, dropout = None if padding is None else padding.mask, module.dropout if module.training else 0.0
    if not dropout and torch_tensors.only_numbers((x, *states, *itertools.chain(*weights))):
        return _numbers(module, weights, x, mask, states, time_major)
    directions, finals = [], []
    for i, of_one in enumerate(weights):
        own = tuple(state[i] for state in states) or None
        kernels = _ordered(module.mode, *of_one)
        directions.append((Direction(*kernels, _reverse(module, i), own, _CELLS[module.mode][0]), Dropout()))
    for first in range(0, len(directions), both):
        if first and dropout:
            x = _dropped(x, dropout, time_major, padding)
        plan, constants, arrays = memory.plan_of(
            x,
            mask,
            directions[first : first + both],
            Options(zero_output_for_mask=False, return_sequences=True, precision="float32", time_major=time_major),
            _zeros,
        )
        x, found = plan.split(torch_tensors.run(plan, x, constants, arrays))
        finals += found
    return x, [torch.stack(each) for each in zip(*finals, strict=True)]


def _numbers(
    module: Any, weights: Sequence[Any], x: Any, mask: Any, states: Sequence[Any], time_major: bool
) -> tuple[Any, list[Any]]:
    """What `_run` returns where nothing but numbers is asked for, by weights that are packed once."""
    both, units = 1 + module.bidirectional, module.hidden_size
    finals = [_empty((len(weights), x.shape[time_major], units)) for _ in CELLS[_CELLS[module.mode][0]].states]
    started, ended = [state.detach().contiguous().numpy() for state in states], [each.numpy() for each in finals]
    counts = None if mask is None else mask.numpy()
    for layer, packed in enumerate(_packed(module, weights)):
        outputs, of = _empty((*x.shape[:2], both * units)), range(both * layer, both * (layer + 1))
        before, after = ([[each[i] for each in of_all] for i in of] for of_all in (started, ended))
        packed.fill(x.detach().numpy(), counts, before, outputs.numpy(), after, time_major)
        x = outputs
    return x, finals


def _packed(module: Any, weights: Sequence[Any]) -> list[Any]:
    """The weights of each layer as the engine multiplies them; those of the last call as long as they are the same."""
    digest, kept = torch_tensors.digest(list(itertools.chain(*weights))), _KEPT.get(module)
    if kept is None or kept[0] != digest:
        cell, both, directions = cell_number(_CELLS[module.mode][0]), 1 + module.bidirectional, []
        for i, of_one in enumerate(weights):
            kernels = [None if each is None else each.detach().numpy() for each in _ordered(module.mode, *of_one)]
            directions.append((cell, *kernels, _reverse(module, i)))
        layers = [directions[first : first + both] for first in range(0, len(directions), both)]
        packed = [_native.Weights(each, False, PRECISIONS["float32"]) for each in layers]
        for each in packed:
            each.freeze()
        kept = _KEPT[module] = digest, packed  # other threads find them as they stay
    return kept[1]


def _reverse(module: Any, direction: int) -> bool:
    return bool(module.bidirectional) and direction % 2 == 1


def _ordered(mode: str, of_x: Any, of_h: Any, *biases: Any) -> tuple[Any, Any, Any]:
    """The kernel, the recurrent kernel and the bias of the engine, made of the weights of torch."""
    cell, gates = _CELLS[mode]

    def blocks(weight: Any) -> Any:
        """`weight`, with its gates in the order of the engine."""
        if gates == CELLS[cell].gates:
            return weight
        by_gate = dict(zip(gates, weight.chunk(len(gates)), strict=True))
        return torch.cat([by_gate[gate] for gate in CELLS[cell].gates])

    bias = None
    if biases:
        biases = tuple(map(blocks, biases))
        bias = torch.stack(biases) if CELLS[cell].biases == 2 else biases[0] + biases[1]
    return blocks(of_x).t().contiguous(), blocks(of_h).t().contiguous(), bias


def _dropped(x: Any, rate: float, time_major: bool, padding: _Padding | None) -> Any:
    """`x` after dropout, which draws its numbers in the order of torch: step after step."""
    if padding is not None:
        return padding.pad(torch.dropout(padding.pack(x), rate, True))
    if time_major:
        return torch.dropout(x, rate, True)
    return torch.dropout(x.transpose(0, 1).contiguous(), rate, True).transpose(0, 1).contiguous()


def _permuted(states: Sequence[Any], order: Any) -> list[Any]:
    return [state if order is None else state.index_select(1, order) for state in states]


class _Padding:
    """The way from a `PackedSequence` to padded steps and back; rows are in its order, the longest first."""

    def __init__(self, batch_sizes: Any) -> None:
        self.time, self.rows, self.mask = len(batch_sizes), int(batch_sizes[0]), None
        if batch_sizes[-1] < batch_sizes[0]:
            there = torch.arange(self.rows, device="cpu") < batch_sizes[:, None]
            self.mask = there.t().contiguous()  # `(batch, time)`, True where a step counts
            self.places = there.flatten().nonzero()[:, 0]

    def pad(self, data: Any) -> Any:
        if self.mask is None:
            return data.reshape(self.time, self.rows, -1)
        padded = data.new_zeros(self.time * self.rows, data.shape[1])
        return padded.index_copy(0, self.places, data).view(self.time, self.rows, -1)

    def pack(self, padded: Any) -> Any:
        if self.mask is None:
            return padded.flatten(0, 1)
        return padded.flatten(0, 1).index_select(0, self.places)
