"""What JAX does with the layers: derivatives of any order and mode, maps, scans, threads, export."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from bothways import layers as ours
from bothways.errors import InputError
from bothways.layers.ops.jax import derivatives, reference
from layer_cases import CELLS_AND_ACTIVATIONS
from tolerances import BFLOAT16, KERAS, error

L = keras.layers
X = np.random.default_rng(0).normal(size=(3, 5, 2)).astype("float32")
MASK = np.array([[1, 1, 0, 1, 1], [0, 0, 1, 1, 0], [0, 0, 0, 0, 0]], bool)
Loss = Callable[..., Any]


def loss_of(layer: Any, **call: Any) -> Loss:
    """A smooth function of `x` and the weights, of all that the layer puts out."""

    def loss(x: Any, weights: Any) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(layer.trainable_variables, weights, strict=True))):
            outputs = jax.tree.leaves(layer(x, **call))
        return sum(jnp.sum(jnp.sin(2 * o) * jnp.cos(jnp.arange(o.size)).reshape(o.shape)) for o in outputs)

    return loss


def losses(make: Callable[[Any], Any], **call: Any) -> tuple[Loss, Loss, list[Any]]:
    """The loss of our layer and that of the stock one, and the weights of both."""
    layer, stock = make(ours), make(L)
    layer.build(X.shape)
    stock.build(X.shape)  # a call that is not compiled takes seconds
    stock.set_weights(layer.get_weights())
    with keras.StatelessScope():  # which leaves the seeds of dropout as they are
        layer(X, **call)
    assert layer.engine == "native"
    return loss_of(layer, **call), loss_of(stock, **call), [v.value for v in layer.trainable_variables]


def assert_same(actual: Any, expected: Any) -> None:
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert error(a, b) < KERAS


def gradient_of_gradient(loss: Loss) -> Loss:
    """Reverse over reverse, for x and every weight."""

    def size(x: Any, weights: Any) -> Any:
        return sum(jnp.sum(g**2) for g in jax.tree.leaves(jax.grad(loss, argnums=(0, 1))(x, weights)))

    return jax.jit(jax.grad(size, argnums=(0, 1)))


def both(name: str, options: dict[str, Any], **more: Any) -> Callable[[Any], Any]:
    return lambda home: home.Bidirectional(getattr(home, name)(3, return_sequences=True, **options, **more))


@pytest.mark.slow
@pytest.mark.parametrize("mask", [None, MASK], ids=["unmasked", "masked"])
@pytest.mark.parametrize("cell", CELLS_AND_ACTIVATIONS)
def test_second_derivatives_of_both_directions(cell: str, mask: Any) -> None:
    name, options = CELLS_AND_ACTIVATIONS[cell]
    loss, expected, weights = losses(both(name, options), mask=mask)
    assert_same(gradient_of_gradient(loss)(X, weights), gradient_of_gradient(expected)(X, weights))


@pytest.mark.slow
@pytest.mark.parametrize("zero_output_for_mask", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_second_derivatives_with_states(zero_output_for_mask: bool, go_backwards: bool, return_sequences: bool) -> None:
    def make(home: Any) -> Any:
        options = {"zero_output_for_mask": zero_output_for_mask, "return_sequences": return_sequences}
        return home.LSTM(3, return_state=True, go_backwards=go_backwards, **options)

    states = [np.random.default_rng(i).normal(size=(3, 3)).astype("float32") for i in range(2)]
    loss, expected, weights = losses(make, mask=MASK, initial_state=states)
    assert_same(gradient_of_gradient(loss)(X, weights), gradient_of_gradient(expected)(X, weights))


def test_second_derivatives_for_initial_states() -> None:
    layer, stock = ours.GRU(3), L.GRU(3)
    layer(X)
    stock.build(X.shape)
    stock.set_weights(layer.get_weights())

    def hessian(layer: Any) -> Any:
        return jax.jit(jax.hessian(lambda h: jnp.sum(layer(X, initial_state=[h]) ** 2)))(jnp.ones((3, 3)) / 3)

    assert_same(hessian(layer), hessian(stock))


MODES: dict[str, Callable[[Loss], Loss]] = {
    "jvp": lambda f: lambda x: jax.jvp(f, (x,), (jnp.cos(x),)),
    "linearize": lambda f: lambda x: jax.linearize(f, x)[1](jnp.cos(x)),
    "jacfwd": jax.jacfwd,
    "forward over reverse": lambda f: jax.jacfwd(jax.grad(f)),
    "reverse over forward": lambda f: jax.grad(lambda x: jax.jvp(f, (x,), (jnp.cos(x),))[1]),
    "forward over forward": lambda f: jax.jacfwd(jax.jacfwd(f)),
    "reverse over reverse": lambda f: jax.jacrev(jax.grad(f)),
    "third": lambda f: jax.grad(lambda x: jnp.sum(jax.grad(lambda x: jnp.sum(jax.grad(f)(x) ** 2))(x) ** 2)),
    "checkpoint": lambda f: jax.grad(jax.checkpoint(f)),
    "vmap of grad": lambda f: lambda x: jax.vmap(jax.grad(f))(jnp.stack([x, 2 * x])),
    "grad of vmap": lambda f: jax.grad(lambda x: jax.vmap(f)(jnp.stack([x, 2 * x])).sum()),
    "vmap of hessian": lambda f: lambda x: jax.vmap(jax.hessian(f))(jnp.stack([x, 2 * x])),
    "grad of scan": lambda f: jax.grad(
        lambda x: jax.lax.scan(lambda s, i: (s + f(i), 0), 0.0, jnp.stack([x, 2 * x]))[0]
    ),
}


QUICK = ("jvp", "reverse over forward", "vmap of grad", "grad of scan")


@pytest.mark.parametrize(
    "mode", [mode if mode in QUICK else pytest.param(mode, marks=pytest.mark.slow) for mode in MODES]
)
def test_every_mode(mode: str) -> None:
    loss, expected, weights = losses(both("LSTM", {}), mask=MASK)
    assert_same(*(jax.jit(MODES[mode](lambda x, f=f: f(x, weights)))(X) for f in (loss, expected)))


DROPOUT: dict[str, Any] = {"dropout": 0.4, "recurrent_dropout": 0.3, "seed": 3}


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS_AND_ACTIVATIONS)
def test_second_derivatives_with_dropout(cell: str) -> None:
    name, options = CELLS_AND_ACTIVATIONS[cell]

    def make(home: Any) -> Any:  # not from a config, in which a SimpleRNN has no seed
        kind, more = getattr(home, name), DROPOUT | {"return_sequences": True}
        return kind(3, **options, **more)

    loss, expected, weights = losses(make, mask=MASK, training=True)
    assert_same(gradient_of_gradient(loss)(X, weights), gradient_of_gradient(expected)(X, weights))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["jvp", "forward over reverse", "reverse over forward", "third", "vmap of grad"])
def test_modes_with_dropout(mode: str) -> None:
    loss, expected, weights = losses(both("GRU", DROPOUT), mask=MASK, training=True)
    assert_same(*(jax.jit(MODES[mode](lambda x, f=f: f(x, weights)))(X) for f in (loss, expected)))


@pytest.mark.slow
def test_bfloat16_factors_have_the_second_derivatives_of_float32() -> None:
    def hessian_vector(dtype: str) -> Any:
        layer = ours.GRU(3, dtype=dtype)
        layer(X)
        layer.set_weights([np.full(v.shape, 0.3) for v in layer.weights])
        assert layer.engine == "native"
        loss = jax.grad(lambda x: jnp.sum(layer(x).astype("float32") ** 2))
        return np.asarray(jax.jit(lambda x: jax.jvp(loss, (x,), (jnp.cos(x),)))(jnp.asarray(X))[1])

    found = [hessian_vector(dtype) for dtype in ("mixed_bfloat16", "float32")]
    assert error(*found) < BFLOAT16 * np.abs(found[1]).max()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["jvp", "linearize", "reverse over forward", "vmap of grad"])
def test_modes_that_are_not_compiled(mode: str) -> None:
    loss, _, weights = losses(both("LSTM", {}), mask=MASK)
    function = MODES[mode](lambda x: loss(x, weights))
    assert_same(function(X), jax.jit(function)(X))


def test_a_gradient_is_the_engines_alone() -> None:
    """The reference takes no part in it, mapped or not."""
    loss, _, weights = losses(both("LSTM", {}), mask=MASK)
    mapped = jax.grad(lambda w: jax.vmap(loss, in_axes=(0, None))(jnp.stack([X, X]), w).sum())
    for gradient, primitives in ((jax.grad(loss, argnums=(0, 1)), ("scan", "bothways_tangent")), (mapped, ("tanh",))):
        arguments = (X, weights) if gradient is not mapped else (weights,)
        compiled = str(jax.make_jaxpr(gradient)(*arguments))
        assert "bothways_backward_v2" in compiled
        assert not any(f"= {primitive}[" in compiled or f"= {primitive} " in compiled for primitive in primitives)


def test_the_gradient_of_x_is_made_only_if_it_is_wanted() -> None:
    loss, _, weights = losses(both("LSTM", {}))
    for argument in (0, 1):
        compiled = jax.jit(jax.grad(loss, argnums=argument)).lower(X, weights).as_text()
        assert f"wants_d_x = {'false' if argument else 'true'}" in compiled


@pytest.mark.slow
def test_the_reference_is_the_engine() -> None:
    seen = []
    recurrence = derivatives.recurrence

    def noted(*arguments: Any) -> Any:
        seen.append(arguments)
        return recurrence(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(derivatives, "recurrence", noted)
        for name, options in CELLS_AND_ACTIVATIONS.values():
            both(name, options)(ours)(X, mask=MASK)
            getattr(ours, name)(3, **options, **DROPOUT)(X, mask=MASK, training=True)
    for arguments in seen:
        assert_same(reference.recurrence(*arguments), recurrence(*arguments))
    assert len(seen) == 2 * len(CELLS_AND_ACTIVATIONS)


def test_several_threads_at_once() -> None:
    loss, _, weights = losses(both("LSTM", {}), mask=MASK)
    functions = jax.jit(jax.value_and_grad(loss, argnums=1)), jax.value_and_grad(loss, argnums=1)
    inputs = [X * scale for scale in np.linspace(0.5, 2, 16, dtype="float32")]
    for function in functions:
        expected = [function(x, weights) for x in inputs]
        with ThreadPoolExecutor(4) as pool:
            for actual, value in zip(pool.map(lambda x, f=function: f(x, weights), inputs), expected, strict=True):
                jax.tree.map(np.testing.assert_array_equal, actual, value)


def generator(layer: Any) -> Any:
    """A compiled loop of single steps, each of which reads what the one before has put out."""
    layer(X[:, :1])
    others = [variable.value for variable in layer.non_trainable_variables]

    def generate(weights: Any, x: Any, states: Any) -> Any:
        def turn(_: Any, carried: Any) -> Any:
            (_, *states), _ = layer.stateless_call(weights, others, carried[0], initial_state=carried[1])
            return states[0][:, None, :2], states

        return jax.lax.fori_loop(0, 7, turn, (x, states))

    return jax.jit(generate)


def test_a_loop_of_single_steps_reads_its_weights_once() -> None:
    layer = ours.LSTM(128, return_state=True)
    generate = generator(layer)
    states = [jnp.zeros((3, 128))] * 2
    for scale in (1.0, -0.5):
        layer.set_weights([scale * each for each in layer.get_weights()])
        weights = [variable.value for variable in layer.trainable_variables]
        x, expected = X[:, :1], states
        for _ in range(7):
            _, *expected = layer(x, initial_state=expected)
            x = expected[0][:, None, :2]
        for found, right in zip(generate(weights, X[:, :1], states)[1], expected, strict=True):
            np.testing.assert_array_equal(found, right)
    program = generate.lower(weights, X[:, :1], states).compile().as_text()
    (digests,), (forward,) = (
        [part for part in program.split("\n\n") if f'custom_call_target="{name}"' in part]
        for name in ("bothways_digest_v1", "bothways_forward_v3")
    )
    assert digests != forward  # the one is the program's, the other of the turns


@pytest.mark.parametrize(("units", "many"), [(100, False), (128, True)])
def test_only_short_calls_of_many_weights_have_digests(units: int, many: bool) -> None:
    layer = ours.LSTM(units)
    layer(X)
    for batch, steps, digests in ((8, 64, many), (8, 65, False)):
        program = str(jax.make_jaxpr(layer)(jnp.ones((batch, steps, 2))))
        assert ("bothways_digest" in program) == digests


@pytest.mark.slow
def test_an_exported_program_runs_in_another_process(tmp_path: Path) -> None:
    pytest.importorskip("flatbuffers", reason="jax.export writes artifacts with it")
    model = keras.Sequential(
        [keras.Input((5, 2)), ours.Bidirectional(ours.LSTM(96, return_sequences=True)), ours.GRU(2)]
    )
    safe = [jax.export.DisabledSafetyCheck.custom_call(name) for name in ours.custom_calls()]

    def gradient(x: Any) -> Any:
        return jax.grad(lambda x: jnp.sum(model(x) ** 2))(x)

    (batch,) = jax.export.symbolic_shape("batch")
    programs = {
        "outputs": (model, (batch, 5, 2)),
        "few": (model, (3, 5, 2)),  # with digests of the weights
        "gradient": (gradient, (3, 5, 2)),
    }
    for name, (function, shape) in programs.items():
        x = jax.ShapeDtypeStruct(shape, jnp.float32)  # type: ignore[no-untyped-call]
        exported = jax.export.export(jax.jit(function), disabled_checks=safe)(x)
        (tmp_path / name).write_bytes(exported.serialize())
    np.save(tmp_path / "x.npy", X)
    code = """
import jax.export, numpy, pathlib
from bothways import layers
layers.custom_calls()
x = numpy.load("x.npy")
for name in ("outputs", "few", "gradient"):
    program = jax.export.deserialize(pathlib.Path(name).read_bytes())
    numpy.save(name + ".npy", program.call(x))
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert error(np.load(tmp_path / "outputs.npy"), model(X)) < KERAS
    assert error(np.load(tmp_path / "few.npy"), model(X)) < KERAS
    assert error(np.load(tmp_path / "gradient.npy"), gradient(X)) < KERAS


def test_gradients_of_unknown_sizes_cannot_be_exported() -> None:
    layer = ours.LSTM(3)
    layer(X)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(layer(x))))
    batch = jax.export.symbolic_shape("batch, 5, 2")
    x = jax.ShapeDtypeStruct(batch, jnp.float32)  # type: ignore[no-untyped-call]
    with pytest.raises(
        InputError, match=r"need known sizes, and sequences has shape \(batch, 5, 2\)\..* call undo\(\)"
    ):
        jax.export.export(gradient)(x)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(jax, "shard_map"), reason="an older JAX")
def test_gradients_where_shard_map_tracks_what_varies_are_refused() -> None:
    """They came out wrong, without a word; stock Keras fails there, too."""
    layer, mesh = ours.LSTM(3), jax.sharding.Mesh(np.array(jax.devices()[:1]), ("rows",))
    spec: Any = jax.sharding.PartitionSpec
    layer(X)
    weights, others = ([v.value for v in each] for each in (layer.trainable_variables, layer.non_trainable_variables))

    def outputs(weights: Any, x: Any) -> Any:
        return layer.stateless_call(weights, others, x)[0]

    def loss(weights: Any, check_vma: bool) -> Any:
        sharded: Any = jax.shard_map(
            outputs, mesh=mesh, in_specs=(spec(), spec("rows")), out_specs=spec("rows"), check_vma=check_vma
        )
        return jnp.sum(sharded(weights, X) ** 2)

    gradient = jax.jit(jax.grad(loss), static_argnums=1)
    with pytest.raises(InputError, match=r"jax\.shard_map tracks .* Give shard_map check_vma=False"):
        gradient(weights, True)
    assert_same(gradient(weights, False), jax.jit(jax.grad(lambda w: jnp.sum(outputs(w, X) ** 2)))(weights))


def test_export_has_to_be_told() -> None:
    layer = ours.LSTM(3)
    layer(X)
    with pytest.raises(ValueError, match="bothways_forward_v3"):
        jax.export.export(jax.jit(layer))(X)


def test_residuals_are_no_numbers_for_debug_nans_to_look_at() -> None:
    """Parts of them are never written; whatever lay there before would be taken for a result that is NaN."""
    layer = ours.Bidirectional(ours.LSTM(16, return_sequences=True))
    x = jnp.ones((32, 40, 8))
    layer(x)
    weights, others = (
        [variable.value for variable in each] for each in (layer.trainable_variables, layer.non_trainable_variables)
    )

    def loss(weights: Any) -> Any:
        return layer.stateless_call(weights, others, x)[0].sum()

    assert "u32[" in str(jax.make_jaxpr(jax.grad(loss))(weights))
    with jax.debug_nans(True):
        for _ in range(5):
            dirt = [
                np.full(size, np.nan, np.float32) for size in (1 << 14, 1 << 16, 1 << 18, 1 << 20) for _ in range(4)
            ]
            del dirt
            jax.block_until_ready(jax.grad(loss)(weights))  # type: ignore[no-untyped-call]
