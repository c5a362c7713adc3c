"""The page about a calibrated sensor profile: one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autoisp.ingest.v1 import sensor_profiles_pb2 as wire
from autoisp_core.errors import ResourceExhaustedError

from autoisp_cli.report.noise_charts import Reference, curve_chart, residue_chart
from autoisp_cli.report.template import fill

GOOD_FIT = 0.98
"""Share of the variances' spread that a line through clean footage explains."""


def render_noise(version: wire.SensorProfileVersion, references: Sequence[Reference] = ()) -> str:
    """The page's HTML.

    Args:
        version: calibrated.
        references: noise to compare with.
    """
    calibration = version.calibration
    return fill(
        "noise.html.j2",
        version=version,
        calibration=calibration,
        good=calibration.r_squared >= GOOD_FIT,
        deviation=(calibration.white_level - calibration.black_level) * calibration.noise.read**0.5,
        values=sum(calibration.counts),
        references=references,
        curve=curve_chart(calibration, references),
        residues=residue_chart(calibration, references),
    )


def write_noise_page(path: Path, version: wire.SensorProfileVersion, references: Sequence[Reference]) -> None:
    """Writes the page.

    Raises:
        ResourceExhaustedError: it can't be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render_noise(version, references), "utf-8")
    except OSError as error:
        raise ResourceExhaustedError(
            f"--out {path}: can't write there: {error.strerror}; free some space or choose another file",
            reason="DISK",
            metadata={"field": "--out"},
        ) from error
