"""What is judged, and for which sensor."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from autoisp_core.artifact import Artifact
from autoisp_core.noise import Noise

MODEL_LABEL = "model"
PROTOTYPE_LABEL = "prototype"


class Split(StrEnum):
    """A clip's part in its dataset."""

    TRAIN = "TRAIN"
    VALIDATION = "VALIDATION"
    TEST = "TEST"


@dataclass(frozen=True)
class Sensor:
    """The sensor that raw is synthesised for: a profile that ships (``builtin``) or one as TOML text."""

    builtin: str = ""
    toml: str = ""
    test_noise: Noise | None = None
    identity_ccm: bool = False


@dataclass(frozen=True)
class Prototype:
    """The slow reference: one that ships (``builtin``) or an ONNX graph."""

    builtin: str = ""
    onnx: Artifact | None = None


@dataclass(frozen=True)
class ModelVersion:
    """A registered version, ``models/{m}/versions/{n}``, and its file once that was looked up."""

    name: str
    onnx: Artifact | None = None


@dataclass(frozen=True)
class Subject:
    """What is judged: a network or a prototype, under a label that is unique in its evaluation."""

    label: str
    source: Artifact | Prototype | ModelVersion

    @property
    def onnx(self) -> Artifact | None:
        """The file that has to be in the store for this to run; None for a built-in prototype."""
        return self.source if isinstance(self.source, Artifact) else self.source.onnx
