"""The page about measured noise."""

import math
import re
from pathlib import Path

import pytest
from autoisp.ingest.v1 import sensor_profiles_pb2 as wire
from autoisp_cli.report.noise_charts import Fit, Reference, curve_chart, residue_chart
from autoisp_cli.report.noise_page import render_noise, write_noise_page
from autoisp_core.errors import ResourceExhaustedError


def calibration(**changes: object) -> wire.Calibration:
    means = [0.0, 0.01, 0.1, 0.4]
    found = wire.Calibration(
        shot_interval=1e-4,
        read_interval=2e-5,
        r_squared=0.999,
        black_level=63.8,
        white_level=1023,
        method="static frames",
        means=means,
        variances=[0.01 * mean + 0.0005 for mean in means],
        counts=[640, 6400, 64000, 1 << 33],
        clips=["clips/a"],
    )
    found.noise.shot, found.noise.read = 0.01, 0.0005
    for name, value in changes.items():
        if isinstance(value, list):
            del getattr(found, name)[:]
            getattr(found, name).extend(value)
        else:
            setattr(found, name, value)
    return found


def version(found: wire.Calibration) -> wire.SensorProfileVersion:
    return wire.SensorProfileVersion(
        name="sensorProfiles/<b>/versions/1", toml='name = "a & b"\n', calibration=found
    )


def test_every_point_is_drawn_where_it_belongs() -> None:
    chart = curve_chart(calibration(), [Reference("stated", 0.02, 0.001)])
    dots = [float(y) for y in re.findall(r'cy="([\d.]+)"', chart)]
    assert len(dots) == 4
    assert dots == sorted(dots, reverse=True)  # brighter is noisier, and higher up
    assert "mean 0.4000, variance 0.0045, from 8,589,934,592 values" in chart
    assert chart.count("dashed") == 1


def test_points_far_off_stay_inside_of_the_lower_chart() -> None:
    chart = residue_chart(calibration(variances=[0.0005, 0.0012, 0.0015, 0.0045]))
    heights = [float(y) for y in re.findall(r'cy="([\d.]+)"', chart)]
    assert len(heights) == 3  # black has no place on a logarithmic axis
    assert min(heights) == pytest.approx(14)


def test_the_band_is_narrowest_where_most_was_measured() -> None:
    fit = Fit(calibration(counts=[1, 1, 10**6, 1]))
    assert fit.band(0.1) < fit.band(0.0)
    assert fit.band(0.1) < fit.band(0.4)
    assert all(math.isfinite(fit.band(mean)) for mean in (0.0, 1.0))


def test_all_black_has_no_lower_chart() -> None:
    assert residue_chart(calibration(means=[-0.1, 0.0, 0.0, 0.0])) == ""


@pytest.mark.parametrize(("r_squared", "badge"), [(0.999, "good fit"), (0.9, "poor fit")])
def test_the_page_tells_figures_and_escapes_names(r_squared: float, badge: str) -> None:
    page = render_noise(version(calibration(r_squared=r_squared)), [Reference("x < y", 0.02, 0.001)])
    for words in (badge, "sensorProfiles/&lt;b&gt;/versions/1", "a &amp; b", "x &lt; y", "63.80", "0.0005"):
        assert words in page
    assert "between 0 and 0.4" in page


def test_a_page_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceExhaustedError, match="--out"):
        write_noise_page(tmp_path / "file" / "page.html", version(calibration()), [])
