"""services/Dockerfile, as far as it can be told without building it; `make test-compose` builds it."""

import fnmatch
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "services" / "Dockerfile").read_text()
LINES = re.sub(r"\\\n\s*(?:#.*\n\s*)*", "", TEXT).splitlines()
HEAVY = {"torch", "cv2", "kornia", "onnxruntime", "torchmetrics"}


def stages() -> dict[str, list[str]]:
    """Instructions of each stage, without those it is built on."""
    found: dict[str, list[str]] = {}
    for line in LINES:
        if match := re.match(r"FROM (\S+) AS (\S+)", line):
            found[name := match[2]] = [f"FROM {match[1]}"]
        elif found and line and not line.startswith("#"):
            found[name].append(line)
    return found


def lineage(name: str) -> list[str]:
    """All instructions that make up a target."""
    own = stages()[name]
    base = own[0].removeprefix("FROM ")
    return (lineage(base) if base in stages() else []) + own


@pytest.mark.parametrize("target", ["control", "compute"])
def test_a_target_runs_as_a_fixed_user_with_its_health_and_its_labels(target: str) -> None:
    instructions = lineage(target)
    users = [line.removeprefix("USER ") for line in instructions if line.startswith("USER ")]
    assert users == ["10001:10001"]
    # The last but the command: nothing runs as root after it, and nothing before it is missing its rights.
    assert instructions[-2] == "USER 10001:10001"
    assert any("groupadd --gid 10001" in line and "useradd --uid 10001" in line for line in instructions)
    [health] = [line for line in instructions if line.startswith("HEALTHCHECK")]
    assert health.endswith('CMD ["python", "-m", "autoisp_runtime.probe"]')
    labels = " ".join(line for line in instructions if line.startswith("LABEL"))
    for key in ("title", "description", "version", "revision", "licenses", "base.name"):
        assert f"org.opencontainers.image.{key}=" in labels, key
    assert 'VOLUME ["/var/lib/autoisp", "/tmp"]' in instructions
    assert any("AUTOISP_STATE_DIR=/var/lib/autoisp" in line for line in instructions)


def test_every_installation_is_pinned() -> None:
    pinned = " ".join(lineage("pinned"))
    assert "PIP_CONSTRAINT=/build/constraints.txt" in pinned
    assert "PIP_BUILD_CONSTRAINT=/build/constraints.txt" in pinned
    for name, instructions in stages().items():
        if any("pip install" in line or "pip wheel" in line for line in instructions):
            assert name == "pinned" or "FROM pinned" in lineage(name), name


def test_the_control_image_is_the_group_control_and_no_more() -> None:
    packages = " ".join(stages()["control-packages"])
    assert "pip install --no-compile --group control" in packages
    assert packages.count("pip install") == 1
    copied = [line for line in stages()["control"] if line.startswith("COPY")]
    assert copied == [
        "COPY --from=control-packages /opt/autoisp /opt/autoisp",
        "COPY --from=control-package /package /opt/autoisp",
    ]
    assert any("python /check_control.py" in line for line in stages()["control"])


def test_both_images_can_send_traces_and_the_build_proves_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extra = {
        re.split(r"[\[><=]", name)[0] for name in project["project"]["optional-dependencies"]["telemetry"]
    }
    assert extra - {"nvidia-ml-py"} <= set(project["dependency-groups"]["control"])
    assert "p['optional-dependencies']['telemetry']" in " ".join(stages()["compute-packages"])
    exporter = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
    assert exporter in CHECK.read_text()
    assert any(exporter in line and "python -c" in line for line in stages()["compute"])


def test_what_is_copied_is_there_and_not_ignored() -> None:
    ignored = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] not in ("#", "")
    ]
    assert ignored[0] == "*"
    kept = {line[1:] for line in ignored if line.startswith("!")}
    sources = [
        word
        for line in LINES
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    assert len(sources) >= 7
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source, pattern) for pattern in kept), f"{source} is ignored"


def test_cuda_is_a_build_argument() -> None:
    instructions = stages()["compute-packages"]
    assert "ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu" in instructions
    assert any('--extra-index-url "${TORCH_INDEX}"' in line for line in instructions)


CHECK = ROOT / "services" / "check_control.py"


def check(before: str = "pass") -> subprocess.CompletedProcess[str]:
    code = f"import runpy, sys; {before}; runpy.run_path({str(CHECK)!r})"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )


def test_the_services_import_without_torch() -> None:
    absent = f"sys.modules.update(dict.fromkeys({sorted(HEAVY)}))"
    result = check(absent)
    assert result.returncode == 0, result.stderr
    assert "autoisp_registry" in result.stdout


def test_the_check_of_the_control_image_finds_torch() -> None:
    result = check()
    assert result.returncode == 1
    assert "torch" in result.stderr
    assert "compute image" in result.stderr


def test_the_check_knows_what_the_light_installation_must_not_have() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for name in HEAVY:
        assert f'"{name}"' in CHECK.read_text()
    control = {re.split(r"[\[><=]", name)[0] for name in project["dependency-groups"]["control"]}
    assert not control & {"torch", "opencv-python-headless", "kornia", "onnxruntime", "torchmetrics"}
