"""docs/guides/edge-formats.md says what is so: its Python runs, its formats are those that are made."""

import re
from pathlib import Path

from autoisp_isp.edge import FORMATS
from autoisp_worker.config import WorkerConfig

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "edge-formats.md").read_text("utf-8")


def test_the_python_of_the_guide_runs() -> None:
    (script,) = re.findall(r"^```python\n(.*?)^```$", GUIDE, flags=re.DOTALL | re.MULTILINE)
    exec(compile(script, "edge-formats.md", "exec"), {})


def test_the_guide_names_every_format_and_setting() -> None:
    assert tuple(re.findall(r"^\| `((?:onnx|executorch)-[a-z0-9]+)`", GUIDE, flags=re.MULTILINE)) == FORMATS
    settings = {name.removeprefix("AUTOISP_").lower() for name in re.findall(r"AUTOISP_[A-Z_]+", GUIDE)}
    assert settings <= set(WorkerConfig.model_fields)
