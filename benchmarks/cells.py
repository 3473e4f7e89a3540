"""Every cell on every instruction set of this machine, as a share of what a matrix product reaches there.

    python benchmarks/cells.py --save cells.json

Each instruction set has a process of its own for the engine, and one for NumPy's product of two 1024 x 1024 matrices
that is told to use the same instructions (`OPENBLAS_CORETYPE`, where NumPy has OpenBLAS): the nearest to the limit of
that set which can be measured from Python. All take turns. What counts are the operations of the matrix products only,
as in `bothways bench`. Takes about two minutes.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import study

from bothways import engine
from bothways.bench import Case, Shape, peers
from bothways.bench.cases import MODES, SGEMM_SIZE

CORES = {"avx512": "SkylakeX", "avx2": "Haswell", "base": "Nehalem"}
"""For each instruction set the processor whose kernels OpenBLAS shall take: one that has no wider instructions."""

CELLS = ("lstm", "gru", "rnn")
SHAPE, QUICK = Shape(32, 100, 64, 128), Shape(4, 5, 3, 8)
PRODUCT = "product "
"""What the name of the worker of a set's matrix product starts with."""


def with_engine(instruction_set: str, threads: int) -> tuple[Callable[[Any], study.Call], dict[str, Any]]:
    """The engine, on one instruction set."""
    build = peers.with_engine(threads)
    engine.set_instruction_set(instruction_set)
    return lambda case: build(Case.from_json(case)), {}


def with_product(instruction_set: str, threads: int) -> tuple[Callable[[Any], study.Call], dict[str, Any]]:
    """NumPy's matrix product; refuses where NumPy does not use the kernels that it was told to."""
    core = core_in_use()
    if core != CORES[instruction_set]:
        raise RuntimeError(f"NumPy's OpenBLAS uses the kernels of {core}, not those of {CORES[instruction_set]}")
    build = peers.with_numpy(threads)
    return build, {"versions": study.versions("numpy")}


def core_in_use() -> str | None:
    """The processor whose kernels NumPy's OpenBLAS uses; None if it has none, or one that does not say."""
    for library in (Path(np.__file__).parents[1] / "numpy.libs").glob("*openblas*"):
        name = getattr(ctypes.CDLL(str(library)), "scipy_openblas_get_corename64_", None)
        if name is not None:
            name.restype = ctypes.c_char_p
            return str(name().decode())
    return None


STARTS: Mapping[str, study.Start] = {
    **{name: partial(with_engine, name) for name in CORES},
    **{PRODUCT + name: partial(with_product, name) for name in CORES},
}


def main() -> None:
    """Measure each cell and mode, and print a row for each instruction set."""
    options = study.options(__doc__, STARTS, seconds=10.0)
    cells = study.study(options)
    sets = [name for name in engine.instruction_sets() if name in CORES]
    shape = QUICK if options.quick else SHAPE
    variables = {PRODUCT + name: {"OPENBLAS_CORETYPE": CORES[name]} for name in sets}
    rows = []
    with cells.workers([*sets, *variables], variables) as workers:
        for case in (Case(shape, cell, mode) for cell in CELLS for mode in MODES):
            times = cells.times(workers, {name: (name, case.to_json()) for name in workers})
            reached = {name: case.flops / times["ms"][name] / 1e6 for name in sets if name in times["ms"]}
            for name, gflops in reached.items():
                product = times["ms"].get(PRODUCT + name)
                limit = None if product is None else 2 * SGEMM_SIZE**3 / product / 1e6
                share = None if limit is None else round(gflops / limit, 4)
                more = {"gflops": round(gflops, 1), "sgemm_gflops": limit and round(limit, 1), "share_of_sgemm": share}
                disturbed = bool({name, PRODUCT + name} & set(times["disturbed"]))
                of_set = {"ms": times["ms"][name], "disturbed": disturbed, "other_work": times["other_work"]}
                cells.add(**case.to_json() | of_set | more, instruction_set=name)
                words = ("" if limit is None else f"{limit:.0f}", "" if share is None else f"{share:.0%}")
                rows.append([f"{case.cell} {case.mode}", name, study.ms(times["ms"][name]), f"{gflops:.1f}", *words])
    cells.done([f"B,T,D,H = {shape}", "set", "ms", "GF/s", "sgemm GF/s", "share"], rows)


if __name__ == "__main__":
    main()
