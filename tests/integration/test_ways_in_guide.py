"""The Python of the guide about the ways in runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from autoisp_client import Endpoints
from autoisp_testing.scenes import moving_scene, write_video
from ingest_calls import running_ingest

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "ways-in.md"


def test_the_python_of_the_guide_runs(tmp_path: Path) -> None:
    write_video(tmp_path / "street.mp4", moving_scene())
    blocks = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == 4
    (tmp_path / "guide.py").write_text("\n".join(blocks), "utf-8")
    with running_ingest(tmp_path, import_roots=tmp_path.as_uri()) as ingest:
        (tmp_path / ".autoisp").mkdir()
        endpoints = Endpoints(*[ingest.process.address] * 4)
        (tmp_path / ".autoisp" / "endpoints.json").write_text(endpoints.to_json())
        words = [sys.executable, "guide.py"]
        ran = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == 0, ran.stderr
        assert "100% at" in ran.stdout
        assert len(ingest.clip_names()) == 3
