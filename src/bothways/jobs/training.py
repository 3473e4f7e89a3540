"""Train a model on a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bothways import baselines, interrupts, store
from bothways.data import Columns, Parts, groups_of, guess_table, read_and_split, refuse_leaks
from bothways.errors import InputError, counted, option
from bothways.files import check_output, locked
from bothways.jobs.evaluation import evaluate_part
from bothways.jobs.models import MODEL_ENDING
from bothways.metrics import Evaluation, kept_thresholds
from bothways.network import Network
from bothways.options import Option, options, seconds_of
from bothways.runtime import Model
from bothways.settings import Search, Settings
from bothways.tables import Table

if TYPE_CHECKING:
    from bothways.study.factors import DataShape
    from bothways.study.tuning import SearchProgress
    from bothways.training import EpochReport, Trained

_OPTIONS: Mapping[str, Option] = options(Network) | options(Settings)

CHECKPOINT = ".checkpoint"  # what the name of the file that a killed run leaves behind adds to that of its model


@dataclass(frozen=True, eq=False)
class Training:
    """What training on a table gave."""

    path: Path  # the file of the model
    model: Model  # the model itself
    evaluation: Evaluation
    """On the valid part, before it is fitted to that, too; or on the train part if there is no other."""
    epochs: int  # how many were run
    best_epoch: int  # the one whose weights were kept
    seconds: Mapping[str, float]  # how long they took, in "compile" and "train"
    steps_per_second: float  # steps trained on in a second, compiling aside

    def to_json(self) -> dict[str, Any]:
        """The shape that `bothways train --json` prints."""
        return self.evaluation.to_json() | {
            "epochs": self.epochs,
            "best_epoch": self.best_epoch,
            "seconds": dict(self.seconds),
            "steps_per_second": self.steps_per_second,
            "interrupted": False,  # what Ctrl-C ends prints nothing; scripts may look all the same
            "model": str(self.path),
        }


def train(
    data: str | Path,
    output: str | Path,
    *,
    settings: Mapping[str, Any] | None = None,
    budget: float | str | None = 0,
    members: int = Search.members,
    refit: bool = Search.refit,
    allow_leaks: bool = False,
    resume: bool = False,
    tensorboard: str | Path | None = None,
    mlflow: str | None = None,
    say: Callable[[str], None] = print,
    on_epoch: Callable[[EpochReport], object] | None = None,
    on_trial: Callable[[SearchProgress], None] = lambda progress: None,
    on_refit: Callable[[int, int], None] = lambda done, total: None,
    **roles: Any,
) -> Training:
    """Train a model on a table and write it to a file, whole or not at all.

    Settings are attributes of `Network` and `Settings`; those that are not given have their defaults, or are looked for
    by the valid part as long as the budget lasts: seconds or text such as "10m", None for a time by the size of the
    table, 0 to train once. `on_epoch` is called where training runs once, `on_trial` after each setting that was tried.
    Roles are those of `bothways.data.choose_columns`, beside attributes of `bothways.settings.Reading`; what is not
    given is guessed, and said.

    While it trains, a file beside the model keeps all that a killed run of the same arguments needs to go on, if asked
    to resume. After Ctrl-C the best model so far is written, then `KeyboardInterrupt` raised.
    """
    settings = dict(settings or {})
    if settings.get("lookahead"):
        settings = {"direction": "forward"} | settings
    described, chosen = _settings(settings)
    search = Search(budget, members, refit)  # type: ignore[arg-type]  # seconds, too
    output = check_output(output, (MODEL_ENDING,))
    checkpoint = output.with_name(output.name + CHECKPOINT)
    table, columns, parts = _read(data, chosen, allow_leaks, roles, say)
    resumed = resume and checkpoint.exists()
    if resume and not resumed:
        say(f"There is nothing to resume ({checkpoint} is not there): training starts from the beginning.")

    # Keras and JAX take seconds to import; a wrong column should be told before.
    from bothways.study.factors import DataShape
    from bothways.study.refit import refit as fit_again
    from bothways.study.tuning import tune
    from bothways.training import train as train_network
    from bothways.training import trained_model
    from bothways.training.trackers import tracked

    once = search.budget == "0"
    seconds = None if budget is None or once else seconds_of("budget", budget)
    chooses_by = None if once else parts.valid
    if not once and chooses_by is None:
        say("There is no valid part to choose settings by: training runs once.")
    shape = DataShape.of(parts.train, len(parts.classes), columns.fitted.sizes, columns.fitted.dimensions)
    network = shape.network_once(described)
    given = {name: value for name, value in settings.items() if name != "seed"}
    _say_idle(given, shape, say)
    say("Fitting simple models to compare with.")
    simple = baselines.fit(parts.train, shape.classes, shape.categories, chosen.seed, vectors=shape.vectors)

    def made(network: Network, settings: Settings, trained: Trained) -> Model:
        return trained_model(network, settings, trained, parts.classes, columns, parts.named, simple, data=table.source)

    def tried(progress: SearchProgress) -> None:
        interrupts.kept = f"{checkpoint} has what was trained; to go on from there, add {option('resume', True)}."
        on_trial(progress)

    with locked(output):
        # A search has a block of its own for Ctrl-C, which ends before it saves.
        waiting = interrupts.deferred() if chooses_by is None else nullcontext(interrupts.Stop())
        watchers = [] if on_epoch is None or chooses_by is not None else [on_epoch]
        with waiting as stop, tracked(watchers, tensorboard, mlflow, settings) as watch:
            if chooses_by is None:
                tuned = None
                trained = train_network(network, parts.train, chosen, parts.valid, watch, checkpoint, resumed, say)
                model = made(network, chosen, trained)
            else:
                tuned = tune(
                    parts.train,
                    chooses_by,
                    shape,
                    given,
                    simple=simple,
                    groups=groups_of(table, columns, parts.train),
                    budget=seconds,
                    seed=chosen.seed,
                    members=search.members,
                    on_progress=tried,
                    checkpoint=checkpoint,
                    resume=resumed,
                    say=say,
                )
                trained, stop.requested = tuned.best.trained, tuned.interrupted
                model = tuned.adopted(made(tuned.network, tuned.settings, trained))
                for report in trained.history:
                    watch(report)
                searched = vars(search) | {"budget": tuned.budget if budget is None else budget}
                model = replace(model, facts={**model.facts, "settings": model.facts["settings"] | searched})
            store.save(model, output)
            if stop.requested:
                best = f"the best model of {counted(len(trained.history), 'epoch')}"
                interrupts.kept = f"{output} is {best}; to go on from there, add {option('resume', True)}."
                raise KeyboardInterrupt
        model, evaluation = _evaluated(model, parts)
        if tuned is not None and search.refit:
            interrupts.kept = f"{output} learned from the train part alone; to go on, add {option('resume', True)}."
            say("Fitting what was chosen again, on the train and valid parts together.")
            assert chooses_by is not None, "it was searched for"
            model = fit_again(model, tuned, parts.train, chooses_by, seed=chosen.seed, on_progress=on_refit)
        store.save(model, output)
        interrupts.kept = ""
        checkpoint.unlink(missing_ok=True)
    return Training(
        path=output,
        model=model,
        evaluation=evaluation,
        epochs=len(trained.history),
        best_epoch=trained.best_epoch,
        seconds=trained.seconds,
        steps_per_second=len(trained.history) * parts.train.steps / max(trained.seconds["train"], 1e-9),
    )


def _evaluated(model: Model, parts: Parts) -> tuple[Model, Evaluation]:
    """The model, with thresholds by the valid part if there is one; and how good it is there, or on the train part."""
    name, part = ("train", parts.train) if parts.valid is None else ("valid", parts.valid)
    p = model.probabilities(part)
    evaluation = evaluate_part(model, part, p, parts.unseen_in(part), split=name)
    if name == "valid":
        model = replace(model, facts={**model.facts, "thresholds": kept_thresholds(part, p)})
    return model, evaluation


def _say_idle(given: Mapping[str, Any], shape: DataShape, say: Callable[[str], None]) -> None:
    """Say which of the given settings have no effect."""
    from bothways.study.factors import Setting

    # Beside a CRF class weights are refused later.
    for name in sorted(Setting.of(given).idle(shape) & given.keys() - {"class_weight"}):
        called = _OPTIONS[name].called(name)
        say(f"{called} is {given[name]!r}, which changes nothing beside these labels, columns and settings.")


def _settings(settings: Mapping[str, Any]) -> tuple[dict[str, Any], Settings]:
    """What is given of the network and of how to train, both checked."""
    if unknown := sorted(set(settings) - set(_OPTIONS)):
        raise InputError(f"There is no setting {unknown[0]!r}. There are: {', '.join(sorted(_OPTIONS))}.")
    described = {name: value for name, value in settings.items() if name in options(Network)}
    Network(features=1, classes=2, **described)
    return described, Settings(**{name: value for name, value in settings.items() if name in options(Settings)})


def _read(
    data: str | Path, settings: Settings, allow_leaks: bool, roles: Mapping[str, Any], say: Callable[[str], None]
) -> tuple[Table, Columns, Parts]:
    """A table, the roles of its columns and its parts; and say what was guessed and noticed."""
    draws = settings.monitor != "none"
    split = read_and_split(data, seed=settings.seed, window=settings.window, draw_valid=draws, **roles)
    columns, parts, more = split.encoded()
    for notice in (guess_table(columns.guesses), *split.notices, *more):
        say(notice)
    refuse_leaks(split.table, columns, parts, allowed=allow_leaks, to="train", say=say)
    say("; ".join(f"{name}: {part.size}" for name, part in parts.named.items()) + ".")
    return split.table, columns, parts
