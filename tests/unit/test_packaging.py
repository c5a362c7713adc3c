"""What pyproject.toml promises about dependencies."""

import re
import tomllib
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def name_of(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match, requirement
    return re.sub(r"[-_.]+", "-", match.group()).lower()


def pinned() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {name_of(line): line.partition("==")[2] for line in lines if line and not line.startswith("#")}


def test_the_light_installation_is_a_subset_of_the_whole() -> None:
    whole = {name_of(requirement) for requirement in PROJECT["project"]["dependencies"]}
    control = {name_of(requirement) for requirement in PROJECT["dependency-groups"]["control"]}

    traces = {name_of(name) for name in PROJECT["project"]["optional-dependencies"]["telemetry"]}
    assert control <= whole | traces
    assert traces - control == {"nvidia-ml-py"}  # of a GPU, which no control service has
    assert not control & {"torch", "kornia", "opencv-python-headless", "onnxruntime"}


def needed(requirement: Requirement, found: set[str]) -> None:
    """Adds the distribution and all that it needs here; extras as the requirement names them."""
    name = canonicalize_name(requirement.name)
    if name in found and not requirement.extras:
        return
    found.add(name)
    for text in requires(name) or []:
        inner = Requirement(text)
        extras = requirement.extras or {""}
        if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in extras):
            needed(inner, found)


def test_everything_that_gets_installed_is_pinned() -> None:
    groups = PROJECT["dependency-groups"]
    found: set[str] = set()
    for text in ["autoisp[demo]", *groups["test"], *groups["check"]]:
        needed(Requirement(text), found)

    assert len(found) > 60
    assert found - pinned().keys() <= {"autoisp", "setuptools"}  # setuptools: what venv itself puts there


def test_nothing_installed_drags_torchvision_in() -> None:
    assert "torchvision" not in pinned()
    assert pinned()["torch"] == "2.13.0"
