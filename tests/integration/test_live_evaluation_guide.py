"""The Python of the guide about live evaluation runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from autoisp.registry.v1 import registry_pb2
from autoisp_client import Endpoints
from autoisp_testing.scenes import moving_scene, write_video
from live_calls import network, running_live

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "live-evaluation.md"
FRAMES = 5


def test_the_python_of_the_guide_runs(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", moving_scene(FRAMES))
    blocks = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    (tmp_path / "guide.py").write_text("\n".join(blocks), "utf-8")
    with running_live(tmp_path) as live:
        name = "models/mine/versions/3"
        version = registry_pb2.ModelVersion(name=name, onnx=live.put(network()))
        live.store.put_result(name, version.SerializeToString())
        (tmp_path / ".autoisp").mkdir()
        endpoints = Endpoints(*["127.0.0.1:1"] * 4, live=live.process.address)
        (tmp_path / ".autoisp" / "endpoints.json").write_text(endpoints.to_json())
        words = [sys.executable, "guide.py"]
        ran = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [str(index) for index in range(FRAMES)]
    assert all("'psnr'" in line for line in lines)
