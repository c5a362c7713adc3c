"""docs/guides/recurrent.md says what is so: its Python runs and finds the cut."""

import re
from pathlib import Path

import pytest

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "recurrent.md").read_text("utf-8")


def test_the_python_of_the_guide_runs(capsys: pytest.CaptureFixture[str]) -> None:
    scripts = re.findall(r"^```python\n(.*?)^```$", GUIDE, flags=re.DOTALL | re.MULTILINE)
    assert len(scripts) == 3
    exec(compile("\n".join(scripts), "recurrent.md", "exec"), {})
    assert capsys.readouterr().out.splitlines() == [
        "a new scene begins with frame 3",
        "(1, 3, 108, 192)",
        "(3, 108, 192) True True",
    ]
