"""What a worker is asked to do and what it answers, free of wire formats and of pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from autoisp_core.artifact import Artifact
from autoisp_core.errors import AutoISPError
from autoisp_core.sensor import SensorProfile
from autoisp_core.training import Training


class Split(Enum):
    """A clip's part in a dataset."""

    TRAIN = "TRAIN"
    VALIDATION = "VALIDATION"
    TEST = "TEST"


class TrialState(Enum):
    """How a trial ended."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    PRUNED = "PRUNED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True)
class ClipRange:
    """Frames [first_frame, end_frame) of one clip.

    Attributes:
        clip: resource name, ``clips/{c}``.
        digest: SHA-256 of the uploaded bytes; the noise of the clip's frames is drawn from it.
        frames_uri: where its frames lie in the artifact store; see ``autoisp_runtime.clip_frames``.
    """

    clip: str
    display_name: str
    digest: str
    frames_uri: str
    first_frame: int
    end_frame: int
    split: Split = Split.TRAIN

    @property
    def frame_count(self) -> int:
        """How many frames the range holds."""
        return self.end_frame - self.first_frame


@dataclass(frozen=True)
class PrototypeSource:
    """Where a prototype comes from: exactly one of the two is set."""

    builtin: str | None = None
    onnx: Artifact | None = None


@dataclass(frozen=True)
class Fidelity:
    """How much to train: exactly one of the two is set."""

    steps: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Cost:
    """Per output pixel, measured of the exported network; ``macs_per_pixel`` None: can't be counted.

    Bytes are of feature maps written, of those that live at one time at most, and of recurrent state.
    """

    macs_per_pixel: float | None
    parameters: int
    size_bytes: int
    seconds_per_megapixel: float
    bytes_per_pixel: float = 0.0
    peak_activation_bytes_per_pixel: float = 0.0
    state_bytes_per_pixel: float = 0.0


@dataclass(frozen=True)
class Quality:
    """Mean over frames; PSNR in dB, data range 1, no border cropped."""

    psnr_db: float
    ssim: float


@dataclass(frozen=True)
class Failure:
    """Why something failed: ``reason`` UPPER_SNAKE for programs, ``message`` for people."""

    reason: str
    message: str

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """The failure that an error stands for; a foreign one keeps its type's name in the message."""
        if isinstance(error, AutoISPError):
            return cls(error.reason, str(error))
        return cls("INTERNAL", f"{type(error).__name__}: {error}; see the worker's log")


@dataclass(frozen=True)
class ProfileJob:
    """Measure a prototype, and have it make lessons.

    Attributes:
        training: says on which footage lessons are wanted.
        lesson_frames: raw frames that the longest window of the search's networks holds.
        lesson_unroll: whether some of them is recurrent, and so trained on more.
        lesson_seconds: about how long lessons may take; 0: none are wanted.
    """

    search: str
    prototype: PrototypeSource
    manifest: Artifact
    sensor: SensorProfile
    seed: int
    validation_frames_per_clip: int
    training: Training = field(default_factory=Training)
    lesson_frames: int = 1
    lesson_seconds: float = 0.0
    lesson_unroll: bool = False


@dataclass(frozen=True)
class Lessons:
    """What a prototype made of training raw: the file, how many patches, how many real, how long it took."""

    file: Artifact
    count: int
    real: int
    seconds: float


@dataclass(frozen=True)
class PrototypeProfile:
    """What was measured: ``frames`` raw frames per output frame, ``inputs`` of the model contract."""

    cost: Cost
    quality: Quality
    frames: int
    inputs: tuple[str, ...]
    lessons: Lessons | None = None


@dataclass(frozen=True)
class Inheritance:
    """A trained network of another spec (JSON), to take weights from."""

    spec: str
    checkpoint: Artifact


@dataclass(frozen=True)
class TrialJob:
    """Train one spec at one fidelity. ``spec`` is JSON; limits that are None don't bind."""

    trial: str
    spec: str
    manifest: Artifact
    sensor: SensorProfile
    fidelity: Fidelity
    seed: int
    validation_seed: int
    validation_frames_per_clip: int
    macs_per_pixel_limit: float | None = None
    seconds_per_megapixel_limit: float | None = None
    initial_checkpoint: Artifact | None = None
    training: Training = field(default_factory=Training)
    lessons: Artifact | None = None
    inheritance: Inheritance | None = None


@dataclass(frozen=True)
class TrialResult:
    """How a trial ended, and what came of it."""

    trial: str
    state: TrialState
    worker: str
    start_time: datetime
    end_time: datetime
    cost: Cost | None = None
    quality: Quality | None = None
    failure: Failure | None = None
    onnx: Artifact | None = None
    checkpoint: Artifact | None = None
    steps: int = 0
    train_seconds: float = 0.0


@dataclass(frozen=True)
class TrialProgress:
    """A running trial's sign of life; ``fraction`` 0 to 1."""

    fraction: float
    steps: int
    loss: float
