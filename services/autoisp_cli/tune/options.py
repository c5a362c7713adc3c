"""What the user asked for, checked before anything is started."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autoisp.common.v1 import common_pb2
from autoisp.search.v1 import search_pb2
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.ids import validate_user_id
from autoisp_core.names import SEARCH

from autoisp_cli.gate_file import gate_text
from autoisp_cli.paths import check_folder, expanded, looked_at
from autoisp_cli.sensor_choice import SensorChoice
from autoisp_cli.tune.space_file import read_space
from autoisp_cli.tune.training_options import training_message

SHORTEST_MINUTES = 5 / 60
LONGEST_MINUTES = 30 * 24 * 60.0
MOST = 2**31 - 1
"""Of whatever is counted: the messages have 32 bits for it."""
LARGEST_SEED = 2**63 - 1

_RUNG = re.compile(r"([0-9]+)x([0-9]+(?:\.[0-9]+)?)(s|steps)")
_MOST_DIGITS = 10


@dataclass(frozen=True)
class TuneOptions:
    """The options of ``autoisp tune``; what is None or empty is left to the service.

    ``sensor_toml`` is the text of the profile that ``sensor`` names on the server, once that was asked.

    Which strategies and objectives there are, only the service knows: it refuses others.

    Raises:
        InvalidArgumentError: one is wrong; ``field`` is the option (``--reduction``).
    """

    footage: Sequence[str]
    out: Path
    prototype: str = "builtin:classical"
    reduction: float | None = None
    budget_macs: float | None = None
    test: Sequence[str] = ()
    sensor: str = "builtin:phone"
    noise: str | None = None
    seed: int = 0
    minutes: float | None = None
    trials: int | None = None
    rungs: Sequence[str] = ()
    strategy: str = ""
    objectives: str | None = None
    warm_start: Sequence[str] = ()
    space: Path | None = None
    augment: str | None = None
    distill: float | None = None
    distill_features: str | None = None
    inherit: bool | None = None
    model: str | None = None
    test_frames: str | None = None
    gate: Path | None = None
    max_parallel_trials: int = 2
    command: str = field(default="", compare=False)
    sensor_toml: str = ""

    def __post_init__(self) -> None:
        if (self.reduction is None) == (self.budget_macs is None):
            raise InvalidArgumentError(
                "--reduction", "give either --reduction (such as 100) or --budget-macs (per output pixel)"
            )
        if self.reduction is not None and not (math.isfinite(self.reduction) and self.reduction > 1):
            raise InvalidArgumentError(
                "--reduction",
                f"--reduction {self.reduction:g} is no reduction; give a number above 1, such as 100",
            )
        if self.budget_macs is not None and not (math.isfinite(self.budget_macs) and self.budget_macs > 0):
            raise InvalidArgumentError(
                "--budget-macs", f"--budget-macs {self.budget_macs:g} is no budget; give a number above 0"
            )
        minutes = self.minutes
        if minutes is not None and (math.isnan(minutes) or minutes < SHORTEST_MINUTES):
            raise InvalidArgumentError(
                "--minutes", f"--minutes {minutes:g} is too short; give at least {SHORTEST_MINUTES:.2g}"
            )
        if minutes is not None and minutes > LONGEST_MINUTES:
            raise InvalidArgumentError(
                "--minutes", f"--minutes {minutes:g} is too long; give at most {LONGEST_MINUTES:,.0f}"
            )
        if self.seed < 0:
            raise InvalidArgumentError("--seed", f"--seed {self.seed} is negative; give 0 or more")
        if self.seed > LARGEST_SEED:
            raise InvalidArgumentError("--seed", f"--seed {self.seed} is too large; give at most 2^63 - 1")
        if self.trials is not None and self.trials < 1:
            raise InvalidArgumentError("--trials", f"--trials {self.trials}: give at least 1")
        if self.trials is not None and self.trials > MOST:
            raise InvalidArgumentError(
                "--trials", f"--trials {self.trials} is too many; give at most {MOST:,}"
            )
        if self.max_parallel_trials > MOST:
            raise InvalidArgumentError(
                "--workers", f"--workers {self.max_parallel_trials} is too many; give at most {MOST:,}"
            )
        if self.trials is not None and self.rungs:
            raise InvalidArgumentError("--trials", "--rung says how many trials run; leave out --trials")
        if self.model is not None:
            validate_user_id(self.model, "--model")
        check_folder("--out", self.out)
        # Each is read once more when the messages are made; here it only has to be right.
        self.prototype_source()
        self.sensor_message()
        self.explicit_rungs()
        self.test_frames_per_clip()
        self.objective_names()
        self.warm_start_names()
        self.space_message()
        self.training_message()
        self.gate_text()

    def prototype_source(self) -> str | Path:
        """The name of a built-in prototype, or the path of an ONNX file."""
        kind, _, what = self.prototype.partition(":")
        if kind == "builtin" and what:
            return what
        if kind != "onnx" or not what:
            raise InvalidArgumentError(
                "--prototype", f"--prototype {self.prototype} is none; write builtin:classical or onnx:FILE"
            )
        path = expanded("--prototype", Path(what))
        if not looked_at("--prototype", path, Path.is_file):
            raise InvalidArgumentError(
                "--prototype", f"--prototype {self.prototype}: no such file; check the path"
            )
        return path

    @property
    def sensor_choice(self) -> SensorChoice:
        """What ``--sensor`` and ``--noise`` say."""
        return SensorChoice(self.sensor, self.noise, self.sensor_toml)

    def sensor_message(self) -> common_pb2.Sensor:
        """The sensor with its test noise."""
        return self.sensor_choice.message()

    def explicit_rungs(self) -> list[search_pb2.Rung]:
        """The rungs as given (``8x20s``, ``8x500steps``); empty means that the service plans them."""
        rungs = []
        for text in self.rungs:
            match = _RUNG.fullmatch(text.replace(" ", ""))
            if match is None or not match[1].strip("0") or (match[3] == "steps" and "." in match[2]):
                raise InvalidArgumentError(
                    "--rung",
                    f"--rung {text} is none; write TRIALSxSECONDSs or TRIALSxSTEPSsteps, such as 8x20s",
                )
            rung = search_pb2.Rung(trials=_count("--rung", text, "trials", match[1]))
            if match[3] == "s":
                rung.seconds = float(match[2])
                if rung.seconds > LONGEST_MINUTES * 60:
                    raise InvalidArgumentError(
                        "--rung",
                        f"--rung {text}: that is too long; give at most {LONGEST_MINUTES * 60:,.0f} seconds",
                    )
            else:
                rung.steps = _count("--rung", text, "steps", match[2])
            rungs.append(rung)
        return rungs

    def test_frames_per_clip(self) -> int | None:
        """0 for all; None for the service's default."""
        if self.test_frames is None:
            return None
        if self.test_frames == "all":
            return 0
        text = self.test_frames
        if not (text.isascii() and text.isdigit() and text.strip("0")):
            raise InvalidArgumentError(
                "--test-frames", f"--test-frames {self.test_frames}: give a number of frames per clip, or all"
            )
        return _count("--test-frames", text, "frames", text)

    def objective_names(self) -> list[str]:
        """What networks are judged by; empty for the service's default."""
        if self.objectives is None:
            return []
        names = [name.strip() for name in self.objectives.split(",")]
        if not all(names):
            raise InvalidArgumentError(
                "--objectives",
                f"--objectives {self.objectives!r}: write names with commas, as in quality,macs",
            )
        return names

    def warm_start_names(self) -> list[str]:
        """Searches to learn from, as resource names; a bare id names one too."""
        names = [name if "/" in name else f"searches/{name}" for name in self.warm_start]
        for name in names:
            SEARCH.parse(name, "--warm-start")
        return names

    def space_message(self) -> search_pb2.SearchSpace | None:
        """What the file says of the space; None if there is none."""
        return None if self.space is None else read_space(expanded("--space", self.space))

    def gate_text(self) -> str:
        """What the network must reach, as TOML; empty for the service's default."""
        return "" if self.gate is None else gate_text(self.gate)

    def training_message(self) -> search_pb2.Training | None:
        """How to train; None if the service is to choose."""
        return training_message(self.augment, self.distill, self.distill_features, self.inherit)


def _count(option: str, text: str, what: str, digits: str) -> int:
    # Python itself refuses to read thousands of digits.
    shortened = digits.lstrip("0") or "0"
    count = int(shortened) if len(shortened) <= _MOST_DIGITS else MOST + 1
    if count > MOST:
        raise InvalidArgumentError(option, f"{option} {text}: that is too many {what}; give at most {MOST:,}")
    return count
