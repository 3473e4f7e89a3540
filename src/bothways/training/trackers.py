"""Where reports of epochs go beside the screen: TensorBoard, MLflow. Each is a package of its own, and optional."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from bothways.errors import MissingDependencyError

if TYPE_CHECKING:
    from bothways.training.loop import EpochReport


class Tracker(Protocol):
    """What is called with each report, inside a `with` that ends it."""

    def __call__(self, report: EpochReport) -> None:
        """Pass a report on."""

    def __enter__(self) -> Tracker:
        """Itself."""

    def __exit__(self, *error: Any) -> None:
        """Write what is not written yet."""


class TensorBoard:
    """Writes reports where `tensorboard --logdir FOLDER` reads them.

    Args:
        folder: is made if it is not there.

    Raises:
        MissingDependencyError: TensorBoard is not installed.

    Example:
        with TensorBoard("runs/first") as tracker:
            train(network, sequences, settings, valid, on_epoch=tracker)
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Open a file in the folder."""
        try:
            from tensorboard.compat.proto.event_pb2 import Event
            from tensorboard.compat.proto.summary_pb2 import Summary
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ModuleNotFoundError as missing:
            raise _missing("TensorBoard", "tensorboard", missing) from None
        self._event, self._summary = Event, Summary
        self._writer = EventFileWriter(str(folder))

    def __call__(self, report: EpochReport) -> None:
        """Write a report, each number under a name of its own."""
        values = [self._summary.Value(tag=tag, simple_value=value) for tag, value in numbers(report).items()]
        summary = self._summary(value=values)
        self._writer.add_event(self._event(wall_time=time.time(), step=report.epoch, summary=summary))

    def __enter__(self) -> TensorBoard:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is not written yet, and close the file."""
        self._writer.close()


class MLflow:
    """Sends reports to MLflow, as a run of its own.

    Args:
        uri: a server or database of MLflow; None for what MLflow takes by itself (`MLFLOW_TRACKING_URI`).
        experiment: the name that the run goes under.
        parameters: what to note about the run, such as the settings.

    Raises:
        MissingDependencyError: MLflow is not installed.

    Example:
        with MLflow(experiment="flows", parameters=vars(settings)) as tracker:
            train(network, sequences, settings, valid, on_epoch=tracker)
    """

    def __init__(
        self, uri: str | None = None, experiment: str = "bothways", parameters: dict[str, Any] | None = None
    ) -> None:
        """Start a run."""
        try:
            import mlflow
        except ModuleNotFoundError as missing:
            raise _missing("MLflow", "mlflow", missing) from None
        self._mlflow = mlflow
        if uri is not None:
            mlflow.set_tracking_uri(uri)
        mlflow.set_experiment(experiment)
        mlflow.start_run()
        mlflow.log_params(parameters or {})

    def __call__(self, report: EpochReport) -> None:
        """Send a report, each number under a name of its own."""
        self._mlflow.log_metrics(numbers(report), step=report.epoch)

    def __enter__(self) -> MLflow:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the run, as failed if there was an error other than Ctrl-C."""
        failed = kind is not None and not issubclass(kind, KeyboardInterrupt)
        self._mlflow.end_run("FAILED" if failed else "FINISHED")


def numbers(report: EpochReport) -> dict[str, float]:
    """The numbers of a report by the names that trackers show.

    Example:
        >>> from bothways.training import EpochReport
        >>> numbers(EpochReport(3, 10, 0.5, 0.75, 0.9, 1e6, best=True, metric="macro F1"))
        {'loss': 0.5, 'valid/loss': 0.75, 'valid/macro_F1': 0.9, 'steps_per_second': 1000000.0}
    """
    valid = {"loss": report.valid_loss, report.metric.replace(" ", "_"): report.valid_metric}
    known = {f"valid/{name}": value for name, value in valid.items() if value is not None}
    return {"loss": report.loss, **known, "steps_per_second": report.steps_per_second}


def _missing(name: str, extra: str, missing: ModuleNotFoundError) -> MissingDependencyError:
    return MissingDependencyError(
        f"{name} is needed for this and not installed ({missing.name} is missing). "
        f"Install it: pip install 'bothways[{extra}]'"
    )
