"""What the worker makes of a version for devices, and whether their accelerators can run it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from autoisp_core import ids
from autoisp_core.artifact import Artifact
from autoisp_core.quality.results import Cost, Failure, Quality

ONNX_FP32 = "onnx-fp32"
"""The format of the registered file as it is."""

GIVEN_UP_AFTER = timedelta(hours=1)
"""A conversion that runs so long may be asked for again."""


class Severity(StrEnum):
    """How much a finding matters."""

    WARNING = "WARNING"
    """It runs, but slower or larger than it could."""
    ERROR = "ERROR"
    """It does not run there, or not on the accelerator."""


@dataclass(frozen=True)
class LintFinding:
    """What keeps a graph from running well on a device, and the fix; ``nodes`` are the graph's."""

    rule: str
    severity: Severity
    reason: str
    fix: str
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DeviceLint:
    """Whether all of a graph runs on a device profile's accelerator."""

    device: str
    supported: bool
    findings: tuple[LintFinding, ...] = ()


@dataclass(frozen=True)
class EdgeFormat:
    """A form of a version that devices run.

    Attributes:
        format: such as ``onnx-int8``.
        artifact: None where it could not be made; ``failure`` says why.
        quality: on the test clips; None where there was no footage.
        psnr_loss_db, shadow_loss_db: against ``onnx-fp32``, of all pixels and of the darkest quarter;
            negative: it gains.
        cost: of this form; None where it was not measured.
        note: how it was made, for people.
        lints: one per device profile.
    """

    format: str
    artifact: Artifact | None = None
    failure: Failure | None = None
    quality: Quality | None = None
    psnr_loss_db: float | None = None
    shadow_loss_db: float | None = None
    cost: Cost | None = None
    note: str = ""
    lints: tuple[DeviceLint, ...] = ()


class ConversionState(StrEnum):
    """Where the making of a version's formats is."""

    NOT_ASKED = "NOT_ASKED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Conversion:
    """The making of a version's formats.

    Attributes:
        state: SUCCEEDED once every format was made or has its reason.
        failure: why nothing came of it.
        conversion_id: of the newest request; answers to earlier ones are late.
        attempt: 1, 2, …
        asked: when the newest request was made.
        seed, frames_per_clip: of the test clips; 0 frames mean all.
    """

    state: ConversionState = ConversionState.NOT_ASKED
    failure: Failure | None = None
    conversion_id: str = ""
    attempt: int = 0
    asked: datetime | None = None
    seed: int = 0
    frames_per_clip: int = 0

    def again(self, version: str, now: datetime) -> Conversion:
        """The next request for ``models/{m}/versions/{v}``: the same id for the same version and attempt."""
        attempt = self.attempt + 1
        return replace(
            self,
            state=ConversionState.RUNNING,
            failure=None,
            conversion_id=ids.derived_id("convert", version, str(attempt)),
            attempt=attempt,
            asked=now,
        )

    def may_ask(self, now: datetime) -> bool:
        """Whether nobody works at it any more, as far as can be told."""
        running = self.state is ConversionState.RUNNING
        return not running or self.asked is None or now - self.asked >= GIVEN_UP_AFTER
