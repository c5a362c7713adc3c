"""JSON for machines: one event per line, the result object last, nothing else on standard output."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.search.v1 import search_pb2
from autoisp_client import UploadProgress
from autoisp_core.errors import AutoISPError
from google.protobuf.json_format import MessageToDict

from autoisp_cli.choice import Choice
from autoisp_cli.report.result import choice_dicts, trial_figures
from autoisp_cli.tune.progress import SearchProgress

_EVERY_SECONDS = 2.0


class JsonView:
    """Events as ``{"event": …, "seconds": …, …}``; messages in their canonical JSON form."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._last_progress = 0.0
        self._last_upload = self._start

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def plan(self, choices: Sequence[Choice]) -> None:
        self._write("plan", choices=choice_dicts(choices))

    def stage(self, key: str, detail: str = "") -> None:
        self._write("stage", stage=key, detail=detail)

    def note(self, text: str) -> None:
        self._write("note", text=text)

    def upload(self, name: str, progress: UploadProgress) -> None:
        now = time.monotonic()
        if now - self._last_upload > _EVERY_SECONDS:
            self._last_upload = now
            rate = round(progress.megabytes_per_second, 3)
            fields = {"sent_bytes": progress.sent_bytes, "size_bytes": progress.size_bytes}
            self._write("upload", clip=name, **fields, megabytes_per_second=rate)

    def profiled(self, search: search_pb2.Search) -> None:
        limits = {
            name: getattr(search, name)
            for name in ("macs_per_pixel_limit", "seconds_per_megapixel_limit")
            if search.HasField(name)
        }
        self._write("profiled", profile=message_dict(search.prototype_profile), **limits)

    def search(self, progress: SearchProgress, ended: search_pb2.Trial | None) -> None:
        if ended is not None:
            self._write("trial", trial=message_dict(ended))
        now = time.monotonic()
        if ended is not None or now - self._last_progress > _EVERY_SECONDS:
            self._last_progress = now
            left = progress.seconds_left()
            self._write(
                "progress",
                fraction=round(progress.fraction, 4),
                done=progress.ended,
                running=progress.count(search_pb2.TRIAL_STATE_RUNNING),
                pruned=progress.count(search_pb2.TRIAL_STATE_PRUNED),
                rungs=[asdict(rung) for rung in progress.rungs()],
                best_psnr=progress.history[-1] if progress.history else None,
                front=[trial_figures(trial) for trial in progress.front()],
                strategy_figures=dict(progress.search.strategy_figures),
                seconds_left=None if left is None else round(left, 1),
            )

    def evaluation(self, evaluation: evaluation_pb2.Evaluation) -> None:
        done = sum(c.state == evaluation_pb2.EVALUATION_STATE_SUCCEEDED for c in evaluation.clips)
        self._write("evaluation", clips_done=done, clips=len(evaluation.clips))

    def result(self, figures: Mapping[str, Any], folder: Path) -> None:
        print(json.dumps(figures), flush=True)

    def error(self, error: AutoISPError) -> None:
        fields = {"code": error.code.name, "reason": error.reason, "message": error.message}
        self._write("error", **fields, metadata=error.metadata)

    def _write(self, event: str, **fields: Any) -> None:
        seconds = round(time.monotonic() - self._start, 3)
        print(json.dumps({"event": event, "seconds": seconds, **fields}), flush=True)


def message_dict(message: Any) -> dict[str, Any]:
    """A message with the field names of the protos."""
    fields: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return fields
