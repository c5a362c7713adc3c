"""Formats of a model version that a worker is asked to make and what it answers; see `domain`."""

from __future__ import annotations

from dataclasses import dataclass

from autoisp_core.artifact import Artifact
from autoisp_core.lint import DeviceLint
from autoisp_core.sensor import SensorProfile

from autoisp_worker.domain import Cost, Failure, Quality


@dataclass(frozen=True)
class ConversionJob:
    """Make, judge and lint the formats of a version.

    Attributes:
        model_version: resource name.
        conversion_id: of this request.
        onnx: the registered file.
        manifest: of the dataset; None: there is no footage.
        sensor, seed: of the noise of all frames.
        frames_per_clip: of test clips; 0: all.
        formats: names of ``autoisp_isp.edge.FORMATS``, in that order.
    """

    model_version: str
    conversion_id: str
    onnx: Artifact
    manifest: Artifact | None
    sensor: SensorProfile
    seed: int
    frames_per_clip: int
    formats: tuple[str, ...]


@dataclass(frozen=True)
class EdgeFormat:
    """One format: with `failure` it could not be made, and the rest is empty.

    Attributes:
        quality: on the test clips; None: there is no footage.
        psnr_loss_db, shadow_loss_db: against the registered file, over all pixels and over the darkest
            quarter of the truth's; negative: it gains.
        note: how it was made.
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


@dataclass(frozen=True)
class Conversion:
    """What came of a job; with `failure` nothing did."""

    model_version: str
    conversion_id: str
    formats: tuple[EdgeFormat, ...] = ()
    failure: Failure | None = None
