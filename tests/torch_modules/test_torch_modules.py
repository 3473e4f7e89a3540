"""The recurrent modules of torch on the engine: torch's numbers, gradients, errors and files."""

from __future__ import annotations

import copy
import gc
import io
import itertools
import pickle
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.autograd import forward_ad  # noqa: E402
from torch.nn.utils import rnn  # noqa: E402

import bothways  # noqa: E402
from bothways.engine import torch_tensors  # noqa: E402
from bothways.errors import InputError  # noqa: E402
from bothways.torch_modules import modules  # noqa: E402
from tolerances import TORCH, error  # noqa: E402

LENGTHS = [3, 9, 1, 5]
BATCH, TIME, FEATURES, UNITS = len(LENGTHS), max(LENGTHS), 3, 5
FORMS = {"packed": LENGTHS, "sorted": sorted(LENGTHS, reverse=True), "whole": [TIME] * BATCH}
KINDS = {"lstm": (nn.LSTM, {}), "gru": (nn.GRU, {}), "rnn": (nn.RNN, {}), "relu": (nn.RNN, {"nonlinearity": "relu"})}


def pair(kind: str = "lstm", **options: Any) -> tuple[Any, Any]:
    """A module of torch and the same, accelerated."""
    make, more = KINDS[kind]
    stock = make(FEATURES, UNITS, **more, **options)
    ours = copy.deepcopy(stock)
    assert [layer.engine for layer in bothways.accelerate(ours).layers] == ["native"]
    return stock, ours


def packed(x: Any, form: str = "packed") -> Any:
    """`x`, batch first, as a `PackedSequence`."""
    lengths = torch.tensor(FORMS[form])
    return rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=form == "sorted")


def as_list(states: Any) -> list[Any]:
    return list(states) if isinstance(states, tuple) else [states]


def data_of(outputs: Any) -> Any:
    return outputs.data if isinstance(outputs, rnn.PackedSequence) else outputs


def numbers(module: Any, form: str, with_states: bool, seed: int = 0) -> Iterator[Any]:
    """Outputs, states and all gradients of a call that depends on `seed` alone, and so do the factors of dropout."""
    torch.manual_seed(seed)
    layers, rows = module.num_layers * (1 + module.bidirectional), [] if form == "single" else [BATCH]
    time_first = form == "padded" and not module.batch_first
    x = torch.randn(*([TIME, BATCH] if time_first else [*rows, TIME]), FEATURES, requires_grad=True)
    hx = [torch.randn(layers, *rows, UNITS, requires_grad=True) for _ in range(1 + isinstance(module, nn.LSTM))]
    given = (tuple(hx) if len(hx) > 1 else hx[0]) if with_states else None
    outputs, states = module(packed(x, form) if form in FORMS else x, given)
    results = [data_of(outputs), *as_list(states)]
    torch.autograd.backward(results, [torch.randn(each.shape) for each in results])
    yield from (each.detach() for each in results)
    yield from (each.grad for each in (x, *(hx if with_states else []), *module.parameters()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [{"num_layers": 1}, {"num_layers": 3, "dropout": 0.4}])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("form", ["padded", "single", *FORMS])
@pytest.mark.parametrize("with_states", [False, True])
def test_parity_with_torch(
    kind: str, bidirectional: bool, layers: dict[str, Any], batch_first: bool, bias: bool, form: str, with_states: bool
) -> None:
    modules = pair(kind, bidirectional=bidirectional, batch_first=batch_first, bias=bias, **layers)
    for actual, expected in zip(*(numbers(each, form, with_states) for each in reversed(modules)), strict=True):
        assert error(actual, expected) < TORCH


@pytest.mark.parametrize("form", FORMS)
def test_a_packed_sequence_comes_back_as_torch_packs_it(form: str) -> None:
    stock, ours = pair(bidirectional=True)
    given = packed(torch.randn(BATCH, TIME, FEATURES), form)
    for actual, expected in zip(ours(given)[0][1:], stock(given)[0][1:], strict=True):
        assert (actual is None) == (expected is None)
        assert actual is None or torch.equal(actual, expected)


def test_outputs_can_be_viewed_as_those_of_torch() -> None:
    for module in pair():
        outputs, (h, _) = module(torch.randn(TIME, BATCH, FEATURES))
        assert outputs.view(TIME * BATCH, UNITS).is_contiguous()
        assert h.is_contiguous()


def test_dropout_is_for_training() -> None:
    stock, ours = (each.eval() for each in pair(num_layers=2, dropout=0.5))
    x = torch.randn(TIME, BATCH, FEATURES)
    assert error(ours(x)[0].detach(), stock(x)[0].detach()) < TORCH
    ours.train()
    assert not torch.equal(ours(x)[0], ours(x)[0])


def test_training_goes_as_in_torch() -> None:
    x = torch.randn(TIME, BATCH, FEATURES)
    losses: list[list[float]] = []
    for module in pair("gru"):
        optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
        losses.append([])
        for _ in range(5):
            optimizer.zero_grad()
            loss = (module(x)[0] - 0.5).square().mean()
            loss.backward()
            optimizer.step()
            losses[-1].append(loss.item())
    assert error(losses[1], losses[0]) < TORCH
    assert losses[1][-1] < losses[1][0]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients_nothing_is_kept(mode: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, ours = pair(num_layers=2)
    kept, forward = [], torch_tensors._forward

    def watched(*arguments: Any, **options: Any) -> Any:
        kept.append(options["with_residuals"])
        return forward(*arguments, **options)

    monkeypatch.setattr(torch_tensors, "_forward", watched)
    x = torch.randn(TIME, BATCH, FEATURES)
    with mode():
        assert not ours(x)[0].requires_grad
    assert not kept
    ours(x)
    assert kept == [True, True]


@pytest.mark.parametrize("mode", ["lstm", "gru"])
def test_weights_are_transposed_once_as_long_as_they_are_the_same(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However they change: `parameter.data` leaves no trace but the numbers."""
    stock, ours = pair(mode, num_layers=2, bidirectional=True)
    made, ordered = list[str](), modules._ordered

    def counted(*given: Any) -> Any:
        made.append(given[0])
        return ordered(*given)

    monkeypatch.setattr(modules, "_ordered", counted)
    x = torch.randn(TIME, BATCH, FEATURES)
    changes: list[Callable[[Any], Any]] = [
        lambda module: module,
        lambda module: module.weight_hh_l1_reverse.data.add_(0.1),
        lambda module: module.bias_ih_l0.data.neg_(),
        lambda module: module.load_state_dict({name: -each for name, each in module.state_dict().items()}),
    ]
    for change in changes:
        for module in (stock, ours):
            change(module)
        with torch.inference_mode():
            for _ in range(3):
                assert error(ours(x)[0], stock(x)[0]) < TORCH
    assert len(made) == 4 * len(changes)
    ours.requires_grad_(False)
    wanting = torch.randn(TIME, BATCH, FEATURES, requires_grad=True)
    ours(wanting)[0].sum().backward()
    assert wanting.grad is not None


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("wants", [False, True])
def test_states_may_lie_in_memory_in_any_way(kind: str, wants: bool) -> None:
    stock, ours = pair(kind, bidirectional=True)
    x = torch.randn(TIME, BATCH, FEATURES)
    for state in (torch.randn(2, 1, UNITS).expand(2, BATCH, UNITS), torch.randn(BATCH, 2, UNITS).transpose(0, 1)):
        hx = (state, state) if kind == "lstm" else state
        with torch.set_grad_enabled(wants):
            actual, expected = (module(x, hx)[0].detach() for module in (ours, stock))
        assert error(actual, expected) < TORCH


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_made_in_inference_mode_is_learned_from(kind: str) -> None:
    """As the features of a frozen model are."""
    with torch.inference_mode():
        x = torch.randn(BATCH, TIME, FEATURES)
    stock, ours = pair(kind, batch_first=True)
    for module in (stock, ours):
        module(x)[0].square().sum().backward()
    for expected, actual in zip(stock.parameters(), ours.parameters(), strict=True):
        assert error(actual.grad, expected.grad) < TORCH


def test_gradients_go_to_what_wants_them() -> None:
    both = pair()
    for module in both:
        module.requires_grad_(False)
        module.bias_hh_l0.requires_grad_(True)
        module(torch.ones(TIME, BATCH, FEATURES))[1][1].sum().backward()
        assert module.weight_ih_l0.grad is None
    stock, ours = (module.bias_hh_l0.grad for module in both)
    assert error(ours, stock) < TORCH


def test_a_graph_that_is_retained_goes_backward_again_but_not_deeper() -> None:
    _, ours = pair()
    x = torch.randn(TIME, BATCH, FEATURES, requires_grad=True)
    total = ours(x)[0].sum()
    first, second = (torch.autograd.grad(total, x, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)
    (gradient,) = torch.autograd.grad(total, x, create_graph=True)
    assert torch.equal(gradient, first)
    with pytest.raises(InputError, match="first derivatives on torch"):
        (gradient.square().sum() + ours.bias_ih_l0.sum()).backward()


def batched(module: Any, x: Any) -> Any:
    """The gradients of several sums at once, through one pass backward."""
    sums = module(x.requires_grad_())[0].sum((0, 1))
    return torch.autograd.grad(sums, x, torch.eye(UNITS), is_grads_batched=True)[0]


TRANSFORMS: dict[str, Callable[[Any, Any], Any]] = {
    "grad": lambda module, x: torch.func.grad(lambda x: module(x)[0].sum())(x),
    "vmap": lambda module, x: torch.func.vmap(lambda x: module(x)[0])(torch.stack([x, -x])),
    "jacrev": lambda module, x: torch.func.jacrev(lambda x: module(x)[0].sum((0, 1)))(x),
    "jvp": lambda module, x: torch.func.jvp(lambda x: module(x)[0], (x,), (torch.ones_like(x),))[1],
    "tangent": lambda module, x: tangent(module, x),
}


def tangent(module: Any, x: Any) -> Any:
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(module(forward_ad.make_dual(x, torch.ones_like(x)))[0]).tangent


@pytest.mark.every_case
@pytest.mark.filterwarnings("default")  # torch's own
@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("wants", [False, True])
def test_transforms_are_those_of_torch(transform: str, kind: str, wants: bool) -> None:
    """Values, or its errors: torch has no derivatives forward and no vmap for an LSTM on oneDNN."""
    found = []
    x = torch.randn(TIME, BATCH, FEATURES)
    for module in pair(kind):
        module.requires_grad_(wants)
        try:
            found.append(TRANSFORMS[transform](module, x).detach())
        except (RuntimeError, NotImplementedError) as told:
            found.append(str(told))
    stock, ours = found
    if isinstance(stock, str):
        assert ours == stock
    else:
        assert error(ours, stock) < TORCH


def test_gradients_of_a_batch_of_sums_are_refused() -> None:
    with pytest.raises(InputError, match=r"one gradient at a time.*is_grads_batched.*vectorize"):
        batched(pair()[1], torch.randn(TIME, BATCH, FEATURES))


MISTAKES = {
    "features": lambda module: module(torch.zeros(TIME, BATCH, FEATURES + 1)),
    "axes": lambda module: module(torch.zeros(1, TIME, BATCH, FEATURES)),
    "dtype": lambda module: module(torch.zeros(TIME, BATCH, FEATURES, dtype=torch.float64)),
    "no steps": lambda module: module(torch.zeros(0, BATCH, FEATURES)),
    "batch of states": lambda module: module(torch.zeros(TIME, BATCH, FEATURES), (torch.zeros(1, 2, UNITS),) * 2),
    "axes of states": lambda module: module(torch.zeros(TIME, BATCH, FEATURES), (torch.zeros(1, UNITS),) * 2),
    "one state": lambda module: module(torch.zeros(TIME, BATCH, FEATURES), torch.zeros(1, BATCH, UNITS)),
    "three states": lambda module: module(torch.zeros(TIME, BATCH, FEATURES), (torch.zeros(1, BATCH, UNITS),) * 3),
    "no states": lambda module: module(torch.zeros(TIME, BATCH, FEATURES), ()),
    "no tensor": lambda module: module([[1.0]]),
    "sparse": lambda module: module(torch.zeros(TIME, BATCH, FEATURES).to_sparse()),
    "nested": lambda module: module(torch.nested.nested_tensor([torch.zeros(TIME, FEATURES)] * BATCH)),
    "a length of 0": lambda module: module(
        rnn.pack_padded_sequence(torch.zeros(TIME, 2, FEATURES), torch.tensor([3, 0]), enforce_sorted=False)
    ),
    "a packed sequence without rows": lambda module: module(
        rnn.PackedSequence(torch.zeros(0, FEATURES), torch.zeros(0, dtype=torch.int64))
    ),
    "features of a packed sequence": lambda module: module(packed(torch.zeros(BATCH, TIME, FEATURES + 1))),
    "states of a packed sequence": lambda module: module(
        packed(torch.zeros(BATCH, TIME, FEATURES)), (torch.zeros(1, 2, UNITS),) * 2
    ),
}


@pytest.mark.every_case
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told_by_torch(mistake: str) -> None:
    told = []
    for module in pair():
        with pytest.raises((RuntimeError, ValueError, TypeError, AttributeError, IndexError)) as raised:
            MISTAKES[mistake](module)
        told.append((raised.type, str(raised.value)))
    assert told[0] == told[1]


@pytest.mark.parametrize("states", [(torch.zeros(1, BATCH, UNITS),), []])
def test_states_in_a_tuple_are_those_of_an_lstm_alone(states: Any) -> None:
    for module in pair("gru"):
        with pytest.raises(AttributeError, match="has no attribute 'dim'"):
            module(torch.zeros(TIME, BATCH, FEATURES), states)


class Own(nn.LSTM):  # type: ignore[misc]
    def forward(self, input: Any, hx: Any = None) -> Any:
        return super().forward(input + 1, hx)


class Named(nn.GRU):  # type: ignore[misc]
    """A class of someone's own with the `forward` of torch."""


def test_the_report() -> None:
    model = nn.Sequential(nn.ModuleDict({"a": Named(3, 4), "b": nn.LSTM(3, 4, proj_size=2)}), Own(3, 4))
    model.extend([nn.RNN(3, 4).double(), nn.GRU(3, 4, device="meta"), nn.GRUCell(3, 4), nn.Linear(3, 4)])
    replaced = nn.RNN(3, 4)
    replaced.forward = lambda input: input
    model.append(replaced)
    acceleration = bothways.accelerate(model)
    assert list(map(tuple, acceleration.layers)) == [
        ("0.a", "Named", "native"),
        ("0.b", "LSTM", "proj_size=2; the engine has no projections"),
        ("1", "Own", "Own has its own forward; the engine has that of torch"),
        ("2", "RNN", "computes in torch.float64; the engine has torch.float32"),
        ("3", "GRU", "is on meta; the engine is for the CPU"),
        ("4", "GRUCell", "GRUCell is one step; the engine has whole sequences"),
        ("6", "RNN", "RNN has its own forward; the engine has that of torch"),
    ]
    assert str(acceleration).startswith("0.a  Named    native\n")
    acceleration.undo()
    assert replaced.forward(5) == 5
    assert not bothways.accelerate(nn.Linear(1, 1)).layers
    assert bothways.accelerate(nn.LSTM(1, 1)).layers[0].name == "LSTM"


def test_a_precision_is_refused() -> None:
    with pytest.raises(InputError, match="precision='int8' is for models of Keras"):
        bothways.accelerate(nn.LSTM(3, 4), precision="int8")


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(InputError, match=r"model is of type type; give a Keras model or layer.*torch"):
        bothways.accelerate(nn.LSTM)


def test_undo_gives_the_model_back(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Sequential(nn.LSTM(3, 4))
    x = torch.randn(TIME, BATCH, 3)
    expected = model(x)[0]
    first, second = bothways.accelerate(model), bothways.accelerate(model)
    assert [layer.engine for layer in second.layers] == ["native"]
    model(x)
    first.undo()
    monkeypatch.setattr(torch_tensors, "run", lambda *_: pytest.fail("the engine ran"))
    assert torch.equal(model(x)[0], expected)
    for each in (first, second):
        each.undo()
    assert "forward" not in vars(model[0])


def test_state_dicts_and_names_stay() -> None:
    stock, ours = pair(num_layers=2, bidirectional=True)
    assert repr(ours) == repr(stock)
    assert list(ours.state_dict()) == list(stock.state_dict())
    other, x = nn.LSTM(FEATURES, UNITS, num_layers=2, bidirectional=True), torch.randn(TIME, BATCH, FEATURES)
    ours.load_state_dict(other.state_dict())
    assert error(ours(x)[0].detach(), other(x)[0].detach()) < TORCH
    zeros = {name: torch.zeros_like(value) for name, value in other.state_dict().items()}
    assert not torch.func.functional_call(ours, zeros, (x,))[0].any()


def saved(module: Any) -> Any:
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.every_case
@pytest.mark.parametrize("again", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module)), saved])
def test_copies_are_accelerated_and_have_weights_of_their_own(again: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Sequential(nn.GRU(3, 4, bidirectional=True))
    bothways.accelerate(model)
    x = torch.randn(TIME, BATCH, 3)
    expected = model(x)[0]
    twin = again(model)
    calls, run = [], torch_tensors.run

    def counted(*arguments: Any) -> Any:
        calls.append(1)
        return run(*arguments)

    monkeypatch.setattr(torch_tensors, "run", counted)
    assert torch.equal(twin(x)[0], expected)
    assert calls == [1]
    with torch.no_grad():
        twin[0].weight_hh_l0.zero_()
    assert torch.equal(model(x)[0], expected)
    assert not torch.equal(twin(x)[0], expected)
    bothways.accelerate(twin).undo()
    assert "forward" not in vars(twin[0])


def replicated(module: Any) -> Any:
    """As `nn.DataParallel` copies a module."""
    twin = module._replicate_for_data_parallel()
    for name, parameter in module.named_parameters():
        setattr(twin, name, parameter.detach().clone())
    return twin


@pytest.mark.every_case
@pytest.mark.parametrize("again", [copy.copy, replicated])
@pytest.mark.parametrize("make", [nn.GRU, Named])
def test_shallow_copies_are_accelerated_and_called_for_themselves(
    again: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock = make(FEATURES, UNITS)
    ours = copy.deepcopy(stock)
    acceleration, x = bothways.accelerate(ours), torch.randn(TIME, TIME, FEATURES)
    calls, run = list[Any](), modules._run

    def seen(module: Any, *given: Any, **more: Any) -> Any:
        calls.append(module)
        return run(module, *given, **more)

    monkeypatch.setattr(modules, "_run", seen)
    twin = again(ours)
    for module in (twin, ours):
        with torch.no_grad():
            assert error(module(x)[0], stock(x)[0]) < TORCH
    twin.batch_first = True
    assert error(twin(x)[0].detach(), stock(x.transpose(0, 1))[0].transpose(0, 1).detach()) < TORCH
    if again is replicated:
        twin.weight_hh_l0.zero_()
        assert error(twin(x)[0].detach(), stock(x.transpose(0, 1))[0].transpose(0, 1).detach()) > TORCH
    assert error(ours(x)[0].detach(), stock(x)[0].detach()) < TORCH
    assert calls[0] is calls[2] is twin
    assert calls[1] is calls[-1] is ours
    acceleration.undo()
    calls.clear()
    twin(x)
    again(ours)(x)
    assert calls == [twin]


def test_modules_and_their_kept_weights_go_without_the_collector() -> None:
    model = nn.Sequential(nn.LSTM(FEATURES, UNITS))
    acceleration = bothways.accelerate(model)
    with torch.no_grad():
        model(torch.randn(TIME, BATCH, FEATURES))
    weight, kept = weakref.ref(model[0].weight_hh_l0), len(modules._KEPT)
    forward = model[0].forward
    gc.disable()
    try:
        del model
        assert weight() is None
        assert len(modules._KEPT) == kept - 1
    finally:
        gc.enable()
    acceleration.undo()
    with pytest.raises(InputError, match="Keep the module"):
        forward(torch.randn(TIME, BATCH, FEATURES))


@pytest.mark.filterwarnings("default")  # torch's own
def test_what_torch_compiles_from_source_says_what_to_do() -> None:
    with pytest.raises(AttributeError, match=r"torch\.jit\.script cannot compile .* undo\(\)"):
        torch.jit.script(nn.Sequential(pair()[1]))


@pytest.mark.filterwarnings("default")  # torch's own
def test_torch_runs_what_the_engine_is_not_for(monkeypatch: pytest.MonkeyPatch) -> None:
    stock, ours = pair()
    x = torch.randn(TIME, BATCH, FEATURES)
    engine = ours(x)[0]
    with monkeypatch.context() as patched:
        patched.setattr(torch_tensors, "run", lambda *_: pytest.fail("the engine ran"))
        # Without oneDNN, which on AVX2 has no LSTM in bfloat16.
        with torch.autocast("cpu", torch.bfloat16), torch.backends.mkldnn.flags(enabled=False):
            assert torch.equal(ours(x)[0], stock(x)[0])
        assert torch.equal(ours.double()(x.double())[0], stock.double()(x.double())[0])
        assert ours(torch.zeros(TIME, 0, FEATURES, dtype=torch.float64))[0].shape == (TIME, 0, UNITS)
    assert torch.equal(ours.float()(x)[0], engine)


def test_calls_of_a_few_steps_are_those_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    stock, ours = pair(batch_first=True)
    calls, run = list[Any](), torch_tensors.run

    def counted(*given: Any) -> Any:
        calls.append(given)
        return run(*given)

    monkeypatch.setattr(torch_tensors, "run", counted)
    for batch, time, native in [(1, 1, False), (15, 7, False), (64, 4, True), (1, 8, True)]:
        x = torch.randn(batch, time, FEATURES)
        assert error(ours(x)[0].detach(), stock(x)[0].detach()) < TORCH
        assert bool(calls) == native
        calls.clear()


@pytest.mark.filterwarnings("default")  # torch's own
def test_graphs_for_elsewhere_are_those_of_torch() -> None:
    stock, ours = pair(num_layers=2)
    x, other = torch.randn(TIME, BATCH, FEATURES), torch.randn(TIME + 1, BATCH, FEATURES)
    traced = torch.jit.trace(ours, (x,))
    assert error(traced(other)[0].detach(), stock(other)[0].detach()) < TORCH
    exported = torch.export.export(ours, (x,))
    assert "bothways" not in str(exported.graph)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # torch's own
@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize(
    ("form", "whole", "backend"),
    [
        ("padded", False, "aot_eager"),
        ("padded", True, "aot_eager"),
        ("packed", False, "aot_eager"),
        ("padded", True, "inductor"),  # torch's default
    ],
)
def test_compiled(kind: str, form: str, whole: bool, backend: str) -> None:
    """Torch's compiler breaks its graphs at recurrent modules unless it is told to look inside."""
    torch._dynamo.reset()
    stock, ours = pair(kind, num_layers=2, bidirectional=True)
    compiled = torch.compile(ours, backend=backend, fullgraph=whole)
    with torch._dynamo.config.patch(allow_rnn=whole):
        for batch, time in itertools.product((4, 2), (7, 3)):
            x = torch.randn(batch, time, FEATURES)
            given = packed(torch.randn(BATCH, TIME, FEATURES)) if form == "packed" else x
            actual, expected = ([*gradients(run, module, given)] for run, module in ((compiled, ours), (stock, stock)))
            for one, other in zip(actual, expected, strict=True):
                assert error(one, other) < TORCH
            with torch.no_grad():
                assert error(data_of(compiled(given)[0]), expected[0]) < TORCH


def gradients(run: Any, module: Any, given: Any) -> Iterator[Any]:
    """The outputs and states of `run`, and the gradients of the parameters of `module` for the sum of their squares."""
    module.zero_grad()
    outputs, states = run(given)
    results = [data_of(outputs), *as_list(states)]
    sum(each.square().sum() for each in results).backward()
    yield from (each.detach() for each in results)
    yield from (each.grad for each in module.parameters())


def test_keras_stays_out_of_it() -> None:
    code = (
        "import sys, torch, bothways; model = torch.nn.LSTM(3, 4); bothways.accelerate(model); "
        "model(torch.zeros(5, 2, 3)); print(sorted({'keras', 'jax', 'torch._dynamo'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_traces_each_operation_sees_those_of_torch() -> None:
    """Else a graph would hold memory that nobody fills, and give whatever stands there."""
    from torch.fx.experimental.proxy_tensor import make_fx

    stock, ours = pair(batch_first=True)
    x, other = torch.randn(2, BATCH, TIME, FEATURES)
    graph = make_fx(lambda given: ours(given)[0])(x)
    assert error(graph(other).detach(), stock(other)[0].detach()) < TORCH
    step = make_fx(lambda given: torch.autograd.grad(ours(given)[0].sum(), list(ours.parameters())))(x)
    wanted = torch.autograd.grad(stock(other)[0].sum(), list(stock.parameters()))
    for actual, expected in zip(step(other), wanted, strict=True):
        assert error(actual.detach(), expected) < TORCH


def test_shapes_alone_and_other_devices_by_default() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(allow_non_fake_inputs=True):
        module = nn.LSTM(FEATURES, UNITS)
        bothways.accelerate(module)
        assert module(torch.randn(TIME, BATCH, FEATURES))[0].shape == (TIME, BATCH, UNITS)
    stock, ours = pair()
    x = torch.randn(TIME, BATCH, FEATURES)
    with torch.device("meta"):
        outputs, _ = ours(x)
        outputs.sum().backward()
    assert error(outputs.detach(), stock(x)[0].detach()) < TORCH


def test_subclasses_of_tensors_stay_what_they_are() -> None:
    named = type("Named", (torch.Tensor,), {})
    _, ours = pair()
    assert isinstance(ours(torch.randn(TIME, BATCH, FEATURES).as_subclass(named))[0], named)


def test_a_torch_that_is_not_known_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for package, name in ((bothways.engine, "torch_tensors"), (bothways.torch_modules, "modules")):
        monkeypatch.delitem(sys.modules, f"{package.__name__}.{name}")
        monkeypatch.delattr(package, name)
    monkeypatch.delattr(torch._C, "_len_torch_dispatch_stack")
    with pytest.raises(InputError, match=r"torch .* is not as the engine knows it: .*_len_torch_dispatch_stack"):
        bothways.accelerate(nn.LSTM(3, 4))
