"""docs/guides/metrics.md says what is so: its tables are the code's, its Python runs."""

import re
from pathlib import Path

import pytest
from autoisp_core.quality import METRICS, Metric

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "metrics.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", GUIDE, flags=re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_each_metric_has_its_row_with_unit_and_direction(metric: Metric) -> None:
    rows = re.findall(rf"^\| `{metric.name}` \| ([^|]*?) ?\| (higher|lower) \|", GUIDE, flags=re.MULTILINE)
    assert rows == [(metric.unit, metric.direction.value)]


def test_the_sections_are_what_the_metrics_need() -> None:
    for title, truth, temporal in (
        ("Against the truth, frame by frame", True, False),
        ("Without a truth", False, False),
    ):
        names = re.findall(r"^\| `(\w+)` \|", SECTIONS[title], flags=re.MULTILINE)
        wanted = [m.name for m in METRICS.values() if (m.needs_truth, m.temporal) == (truth, temporal)]
        assert names == wanted
    names = re.findall(r"^\| `(\w+)` \|", SECTIONS["From frame to frame"], flags=re.MULTILINE)
    assert set(names) == {m.name for m in METRICS.values() if m.temporal and not m.at_end}


def test_the_costs_are_of_every_metric() -> None:
    names = re.findall(r"^\| `(\w+)` \|", SECTIONS["What they cost"], flags=re.MULTILINE)
    assert set(names) == {m.name for m in METRICS.values() if not m.at_end}


def test_the_python_of_the_guide_runs(capsys: pytest.CaptureFixture[str]) -> None:
    scripts = re.findall(r"^```python\n(.*?)^```$", GUIDE, flags=re.DOTALL | re.MULTILINE)
    assert len(scripts) == 2
    for script in scripts:
        exec(compile(script, "metrics.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("{'psnr': 40.0")
    assert "'flicker'" not in printed[0]
    assert printed[-1].startswith("psnr better: +1.033 dB [")
