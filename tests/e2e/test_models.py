"""Versions registered, promoted, rolled out and verified with the command alone, against running services."""

import json

import pytest
from autoisp_cli.__main__ import main
from autoisp_testing import graphs
from command import assert_nothing_left, autoisp, press_ctrl_c, start

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with two networks, where ``autoisp up`` runs."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "dusk.onnx").write_bytes(graphs.sized(2.0))
    (folder / "dark.onnx").write_bytes(graphs.root_of(0.9))
    services = start("up", "--workers", 1, "--json", folder=folder)
    assert services.stdout is not None
    services.stdout.readline()
    yield folder
    press_ctrl_c(services)
    _, errors = services.communicate(timeout=60)
    assert (services.returncode, errors) == (0, "")
    assert_nothing_left(folder / ".autoisp")


@pytest.fixture
def run(home, capsys, monkeypatch):
    """The command in this process, which starts it once: a process for each takes seconds."""
    monkeypatch.chdir(home)

    def run(*words, code=0):
        ended = main([str(word) for word in words])
        told = capsys.readouterr()
        assert ended == code, told.err
        return told.err if code == 2 else told.out

    return run


def test_the_command_as_a_process(home):
    listed = autoisp("models", "list", "--json", folder=home)
    assert (listed.returncode, json.loads(listed.stdout)) == (0, [])
    missing = autoisp("models", "promote", "nobody@1", folder=home)
    assert missing.returncode == 2
    assert missing.stderr.startswith("error: models/nobody")


def test_from_a_file_to_devices_and_back(home, run):
    run("models", "register", "night", "dusk.onnx", "--metric", "psnr_model=30.5", "--tag", "site=lab")
    run("models", "register", "night", "dark.onnx", "--metric", "psnr_model=31.5")
    listed = run("models", "versions", "--filter", "metrics.psnr_model > 31", "--json")
    assert [version["name"] for version in json.loads(listed)] == ["models/night/versions/2"]
    assert "filter at position" in run("models", "versions", "--filter", "metrics.psnr >", code=2)

    assert "autoisp evaluations run" in run("models", "promote", "night@1", code=2)
    for number in (1, 2):
        promoted = run("models", "promote", f"night@{number}", "--override", "-m", "seen by the lab")
        assert f"night@{number} is champion now" in promoted
    assert "night@1 again" in run("models", "rollback", "night", "-m", "green faces")
    assert "promotion" in run("models", "alias", "night@2", "champion", code=2)

    history = run("models", "history", "night")
    for words in ("version.register night@1", "✗ refused version.promote night@1", "“green faces”"):
        assert words in history
    assert "✓ intact" in run("models", "history", "--verify")

    shown = run("models", "show", "night@champion")
    assert shown.index("models/night/versions/1") < shown.index("30.5") < shown.index("where it came from")
    assert json.loads(run("models", "show", "night", "--json"))["name"] == "models/night/versions/2"

    run("channels", "create", "p-series/stable", "--model", "night@champion")
    run("channels", "start", "p-series/stable", "2", "--percent", "10", "--tester", "phone-17")
    assert "night@2" in run("channels", "resolve", "p-series/stable", "phone-17")
    run("channels", "report", "p-series/stable", "phone-17", "--failed", "TOO_SLOW")
    assert "TOO_SLOW 1" in run("channels", "show", "p-series/stable")
    assert "channels set" in run("channels", "raise", "p-series/stable", "5", code=2)
    run("channels", "abort", "p-series/stable", "-m", "too slow")
    assert "night@1" in run("channels", "resolve", "p-series/stable", "phone-17")

    assert "champion" in run("models", "delete", "night@1", code=2)
    run("channels", "delete", "p-series/stable")
    run("models", "delete", "night@2")
    assert "models restore night@2" in run("models", "show", "night@2", code=2)
    run("models", "restore", "night@2")
