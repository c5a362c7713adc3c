"""What a running job tells, whoever shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.search.v1 import search_pb2
from autoisp_client import UploadProgress
from autoisp_core.errors import AutoISPError

from autoisp_cli.choice import Choice
from autoisp_cli.tune.progress import SearchProgress

STAGES = {
    "start": "Start the services",
    "upload": "Upload the footage",
    "profile": "Measure the prototype",
    "search": "Search and train",
    "evaluate": "Judge on unseen clips",
    "register": "Register the model",
    "report": "Write the report",
}
"""Stages in their order: key for programs, name for people."""


class View(Protocol):
    """Shows a job. A context manager, so that a terminal is left as it was."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def plan(self, choices: Sequence[Choice]) -> None:
        """What will be done, every automatic choice included."""

    def stage(self, key: str, detail: str = "") -> None:
        """A stage of :data:`STAGES` begins; the one before is through."""

    def note(self, text: str) -> None:
        """Something worth knowing happened."""

    def upload(self, name: str, progress: UploadProgress) -> None:
        """The upload of one clip went on; called by the thread that sends."""

    def profiled(self, search: search_pb2.Search) -> None:
        """The prototype is measured and the budget fixed."""

    def search(self, progress: SearchProgress, ended: search_pb2.Trial | None) -> None:
        """The search went on; ``ended`` is the trial that did so just now."""

    def evaluation(self, evaluation: evaluation_pb2.Evaluation) -> None:
        """Another clip was judged."""

    def result(self, figures: Mapping[str, Any], folder: Path) -> None:
        """All is done and the report written."""

    def error(self, error: AutoISPError) -> None:
        """It ended with an error, which the caller prints."""
