"""Clients of running services: one made from the published protos alone, and the one of the guide."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from autoisp_testing.scenes import moving_scene, write_video
from command import assert_nothing_left, press_ctrl_c, start

pytestmark = pytest.mark.timeout(180)

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "client.md"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with two clips, where ``autoisp up`` runs."""
    folder = tmp_path_factory.mktemp("home")
    write_video(folder / "street.mp4", moving_scene(24, seed=4))
    write_video(folder / "unseen.mp4", moving_scene(10, seed=5))
    services = start("up", "--workers", 1, "--json", folder=folder)
    assert services.stdout is not None
    services.stdout.readline()
    yield folder
    press_ctrl_c(services)
    _, errors = services.communicate(timeout=60)
    assert (services.returncode, errors) == (0, "")
    assert_nothing_left(folder / ".autoisp")


def python(folder, *words):
    ran = subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=150, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_a_client_made_from_the_protos_gets_its_network(home):
    script = Path(__file__).with_name("third_party_client.py")
    words = (".autoisp/endpoints.json", "street.mp4", "unseen.mp4", "theirs.onnx")
    told = json.loads(python(home, script, *words))
    assert told["ours"] == []
    assert told["trials"] == 2
    assert told["version"] == "models/theirs/versions/1"
    assert told["metrics"]["macs_per_pixel"] <= 1200
    model = onnx.load(home / "theirs.onnx")
    assert model.graph.output[0].name == "srgb"


def test_the_python_of_the_guide_runs(home):
    blocks = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == 7
    script = home / "guide.py"
    script.write_text("\n".join(blocks), "utf-8")
    printed = python(home, script)
    assert "search.prototype - " in printed
    assert "searches/never NOT_FOUND" in printed
    assert "model " in printed
    assert "GATE_FAILED" in printed
    assert os.path.getsize(home / "network.onnx") > 1000
