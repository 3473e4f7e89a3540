"""Where reports of epochs go beside the screen: TensorBoard and MLflow, which are optional packages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bothways.errors import imports_for

if TYPE_CHECKING:
    from bothways.training.loop import EpochReport

Tracker = Callable[["EpochReport"], object]


@contextmanager
def tracked(
    trackers: Iterable[Tracker], folder: str | Path | None, experiment: str | None, parameters: Mapping[str, Any]
) -> Iterator[Tracker]:
    """Send reports to all trackers, to a folder of TensorBoard and to an experiment of MLflow, as far as given."""
    with ExitStack() as stack:
        every = [*trackers]
        if folder is not None:
            every.append(stack.enter_context(tensorboard(folder)))
        if experiment is not None:
            every.append(stack.enter_context(mlflow_run(experiment, parameters)))

        def track(report: EpochReport) -> None:
            for each in every:
                each(report)

        yield track


@contextmanager
def tensorboard(folder: str | Path) -> Iterator[Tracker]:
    """Write reports to a folder that `tensorboard --logdir FOLDER` reads."""
    with imports_for("Writing for TensorBoard", "tensorboard"):
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    writer = EventFileWriter(str(folder))

    def track(report: EpochReport) -> None:
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars(report).items()]
        writer.add_event(Event(wall_time=time.time(), step=report.epoch, summary=Summary(value=values)))

    with closing(writer):
        yield track


@contextmanager
def mlflow_run(experiment: str, parameters: Mapping[str, Any]) -> Iterator[Tracker]:
    """Send reports to MLflow as a run of their own; it fails with the block, unless that ends by Ctrl-C."""
    with imports_for("Logging to MLflow", "mlflow"):
        import mlflow
    mlflow.set_experiment(experiment)
    mlflow.start_run()
    status = "FAILED"
    try:
        mlflow.log_params(dict(parameters))
        yield lambda report: mlflow.log_metrics(scalars(report), step=report.epoch)
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "FINISHED"
        raise
    finally:
        mlflow.end_run(status)


def scalars(report: EpochReport) -> dict[str, float]:
    """The numbers of a report by the names that trackers show."""
    valid = {"loss": report.valid_loss, report.metric.replace(" ", "_"): report.valid_metric}
    known = {f"valid/{name}": value for name, value in valid.items() if value is not None}
    return {"loss": report.loss, **known, "steps_per_second": report.steps_per_second}
