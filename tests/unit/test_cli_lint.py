"""``autoisp models lint``: files in a process of its own, versions as the registry keeps them."""

import json
from contextlib import contextmanager

import pytest
from autoisp.registry.v1 import registry_pb2
from autoisp_cli.__main__ import main
from autoisp_cli.commands.models import linting
from autoisp_core.errors import NotFoundError
from autoisp_core.spec import Spec
from autoisp_isp.export import export_onnx
from autoisp_isp.network import build

STATIC = Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), width=16, frames=1)
DYNAMIC = Spec(Spec.code((1, 10, 3, 0, 0), (2, 7, 0, 0, 0)), width=8, frames=1)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name, spec in (("static", STATIC), ("dynamic", DYNAMIC)):
        (folder / f"{name}.onnx").write_bytes(export_onnx(build(spec)))
    (folder / "broken.onnx").write_bytes(b"no graph")
    (folder / "mine.toml").write_text('name = "mine"\nextends = "phone-npu-10"\nruntime_weights = true\n')
    (folder / "wrong.toml").write_text('name = "mine"\nextends = "phone-npu-10"\nmax_ranks = 5\n')
    return folder


def test_a_file_that_every_device_runs(files, capsys):
    devices = ["--device", "phone-npu-10", "--device", "xnnpack-cpu"]
    assert main(["models", "lint", str(files / "static.onnx"), *devices]) == 0
    shown = capsys.readouterr().out
    assert "✓ phone-npu-10 runs it  3 warnings" in shown
    assert "✓ xnnpack-cpu runs it  nothing to say" in shown
    assert "fix: use width 32 instead of 16" in shown


def test_a_device_that_does_not_run_it_is_exit_code_1(files, capsys):
    assert main(["models", "lint", str(files / "dynamic.onnx"), "--device", "phone-npu-20"]) == 1
    shown = capsys.readouterr().out
    assert "✗ phone-npu-20 does not run all of it  1 error" in shown
    assert shown.index("RUNTIME_WEIGHTS") < shown.index("DYNAMIC_SHAPE")
    assert "at: conv_" in shown


def test_all_shipped_devices_as_json(files, capsys):
    assert main(["models", "lint", str(files / "static.onnx"), "--json"]) == 1  # one wants integers
    (form,) = json.loads(capsys.readouterr().out)
    assert form["format"] == str(files / "static.onnx")
    supported = {lint["device"]: lint.get("supported", False) for lint in form["lints"]}
    assert supported == {
        "phone-npu-4": False, "phone-npu-10": True, "phone-npu-20": True, "xnnpack-cpu": True
    }  # fmt: skip
    (finding, *_) = form["lints"][0]["findings"]
    assert (finding["rule"], finding["severity"]) == ("PRECISION_NOT_SUPPORTED", "SEVERITY_ERROR")


def test_a_device_of_ones_own(files, capsys):
    assert main(["models", "lint", str(files / "dynamic.onnx"), "--device", str(files / "mine.toml")]) == 0
    assert "✓ mine runs it" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "device", "said"),
    [
        ("static.onnx", "toaster", "there is no device profile 'toaster'; choose from phone-npu-4"),
        ("static.onnx", "wrong.toml", "wrong.toml: the device profile has an unknown key 'max_ranks'"),
        ("static.onnx", "missing.toml", "missing.toml: no such file"),
        ("static.onnx", "dynamic.onnx", "dynamic.onnx"),
        ("broken.onnx", "phone-npu-4", "not a valid ONNX model"),
        ("missing.onnx", "phone-npu-4", "missing.onnx: no such file"),
    ],
)
def test_wrong_input_names_the_file_and_the_fix(files, monkeypatch, capsys, file, device, said):
    monkeypatch.chdir(files)
    assert main(["models", "lint", file, "--device", device]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: ")
    assert said in shown
    assert "Traceback" not in shown


def test_a_file_that_ends_the_process_is_told_as_its_fault(files, monkeypatch, capsys):
    monkeypatch.setattr(linting, "_MODULE", "autoisp_worker.no_such_module")
    assert main(["models", "lint", str(files / "static.onnx")]) == 2
    assert "ended the process that read it (" in capsys.readouterr().err


class Registry:
    """A client of a registry with one version, in two formats."""

    def __init__(self):
        finding = registry_pb2.LintFinding(
            rule="PRECISION_NOT_SUPPORTED",
            severity=registry_pb2.LintFinding.SEVERITY_ERROR,
            nodes=[f"conv_{place}" for place in range(6)],
            reason="float32 on feature maps",
            fix="deliver [the form] onnx-int8",
        )
        old, new = (
            registry_pb2.DeviceLint(device="old", findings=[finding]),
            registry_pb2.DeviceLint(device="new", supported=True),
        )
        self.version = registry_pb2.ModelVersion(
            name="models/night/versions/3",
            formats=[
                registry_pb2.EdgeFormat(format="onnx-fp32", lints=[old, new]),
                registry_pb2.EdgeFormat(format="onnx-int8", lints=[new]),
            ],
        )

    def get_model_version(self, name):
        if name not in ("models/night/versions/latest", "models/night/versions/champion"):
            raise NotFoundError(name)
        return self.version


@pytest.fixture
def registry(monkeypatch, tmp_path):
    registry = Registry()

    @contextmanager
    def client_for(server, state):
        yield registry

    monkeypatch.setattr(linting, "client_for", client_for)
    monkeypatch.chdir(tmp_path)
    return registry


@pytest.mark.parametrize("name", ["night", "models/night", "night@champion"])
def test_a_version_is_shown_as_the_registry_keeps_it(registry, capsys, name):
    assert main(["models", "lint", name]) == 1
    shown = capsys.readouterr().out
    assert "models/night/versions/3 onnx-fp32" in shown
    assert "fix: deliver [the form] onnx-int8" in shown
    assert "at: conv_0, conv_1, conv_2, conv_3 and 2 more" in shown


def test_one_form_that_runs_is_enough_for_a_device(registry, capsys):
    assert main(["models", "lint", "night", "--device", "new"]) == 0
    assert "old" not in capsys.readouterr().out
    registry.version.formats[1].lints.add(device="old", supported=True)
    assert main(["models", "lint", "night"]) == 0


@pytest.mark.parametrize("devices", [["--device", "toaster"], []])
def test_what_the_registry_does_not_keep(registry, capsys, devices):
    if not devices:
        del registry.version.formats[:]
    assert main(["models", "lint", "night", *devices]) == 2
    shown = capsys.readouterr().err
    assert ("toaster" if devices else "no lint") in shown
    assert "autoisp models download" in shown


def test_a_version_that_is_not_there(registry, capsys):
    assert main(["models", "lint", "day"]) == 2
    assert "models/day/versions/latest" in capsys.readouterr().err
