"""Plays the workloads of the overlay dev with podman: their pods, without a cluster around them."""

from __future__ import annotations

import copy
import json
import tempfile
from typing import Any

import yaml
from compose_engine import Engine
from compose_steps import Steps, wait_for
from manifests import build_overlay, named, of_kind, workloads

Manifest = dict[str, Any]

NETWORK = "autoisp-kube"
STANDINS = {
    "docker.io/library/nats": "localhost/autoisp-standin-nats",
    "docker.io/library/postgres": "localhost/autoisp-standin-postgres",
    "docker.io/chrislusf/seaweedfs": "localhost/autoisp-standin-s3",
}
_CALLS = """
from autoisp_client import Client
with Client("ingest={0}:50051,search={1}:50051,evaluation={2}:50051,registry={3}:50051") as client:
    print(*map(len, map(list, (client.list_datasets(), client.list_searches(), client.list_models()))))
"""


def play_dev_overlay(engine: Engine, steps: Steps, images: dict[str, str], *, standins: bool) -> None:
    """Starts the pods and jobs, waits until they are healthy, calls the services, and takes all down."""
    overlay = build_overlay("dev")
    documents = playable(overlay, {**images, **(STANDINS if standins else {})})
    deployments = of_kind(overlay, "Deployment")
    containers = [pod + "-autoisp" for deployment in deployments for pod in pods_of(deployment)]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump_all(documents, file)
        file.flush()
        _remove(engine, overlay, documents)
        engine("network", "create", NETWORK)
        _make_secrets(engine, overlay)
        try:
            with steps.step("play the workloads of the overlay dev") as details:
                engine("kube", "play", "--network", NETWORK, file.name)
                wait_for(
                    "the jobs", lambda: all(_ended_well(engine, job) for job in ("migrate", "topology")), 180
                )
                details.append("the jobs migrate and topology ended with 0")
                for container in containers:
                    wait_for(f"{container}'s readiness", lambda it=container: _says_yes(engine, it), 180)
                for container in containers:
                    engine(
                        "exec", container, "python", "-m", "autoisp_runtime.probe", "--service", "liveness"
                    )
                addresses = [pods_of(named(overlay, "Deployment", name))[0] for name in _SERVICES]
                engine("exec", containers[0], "python", "-c", _CALLS.format(*addresses))
                details.append(f"{len(containers)} processes are ready and alive, and answer each other")
        except BaseException:
            print(_logs(engine))
            raise
        finally:
            with steps.step("take the workloads down"):
                _remove(engine, overlay, documents)


_SERVICES = ("ingest", "search", "evaluation", "registry")


def playable(overlay: list[Manifest], images: dict[str, str]) -> list[Manifest]:
    """What podman plays of an overlay; its own kinds are Deployment, Pod, ConfigMap and claims.

    A stateful set of one becomes its pod, with the name of its service, so that others find it; a job becomes
    its pod, too.
    """
    documents = copy.deepcopy(of_kind(overlay, "ConfigMap", "PersistentVolumeClaim", "Deployment"))
    for workload in copy.deepcopy(workloads(overlay)):
        if workload["kind"] == "Deployment":
            continue
        template, name = workload["spec"]["template"], workload["metadata"]["name"]
        for claim in workload["spec"].get("volumeClaimTemplates", ()):
            volume, claim_name = claim["metadata"]["name"], f"{claim['metadata']['name']}-{name}-0"
            metadata = {"name": claim_name}
            documents.append(
                claim | {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata}
            )
            source = {"name": volume, "persistentVolumeClaim": {"claimName": claim_name}}
            template["spec"].setdefault("volumes", []).append(source)
        metadata = {"name": name, "labels": template["metadata"]["labels"]}
        documents.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
    for document in of_kind(documents, "Deployment", "Pod"):
        spec = document["spec"]["template"]["spec"] if document["kind"] == "Deployment" else document["spec"]
        for container in spec["containers"]:
            container.pop(
                "ports", None
            )  # podman would take them on this machine, where Kubernetes takes none
            repository = container["image"].partition(":")[0]
            container["image"] = images.get(repository, container["image"])
    return documents


def pods_of(deployment: Manifest) -> list[str]:
    """The names that podman gives to a deployment's pods."""
    return [
        f"{deployment['metadata']['name']}-pod-{number}" for number in range(deployment["spec"]["replicas"])
    ]


def _make_secrets(engine: Engine, overlay: list[Manifest]) -> None:
    """As podman's own, whose content is the data of Kubernetes' secret; it reads no secret of a file back."""
    for secret in of_kind(overlay, "Secret"):
        with tempfile.NamedTemporaryFile("w") as file:
            json.dump(secret["data"], file)
            file.flush()
            engine("secret", "rm", secret["metadata"]["name"], check=False)
            engine("secret", "create", secret["metadata"]["name"], file.name)


def _remove(engine: Engine, overlay: list[Manifest], documents: list[Manifest]) -> None:
    """All that may be there of a run, also of one that was killed."""
    pods = [pod for deployment in of_kind(documents, "Deployment") for pod in pods_of(deployment)]
    pods += [pod["metadata"]["name"] for pod in of_kind(documents, "Pod")]
    for pod in pods:
        engine("pod", "rm", "--force", "--time", "5", pod, check=False)
    for volume in of_kind(documents, "PersistentVolumeClaim", "ConfigMap"):
        engine("volume", "rm", volume["metadata"]["name"], check=False)
    for secret in of_kind(overlay, "Secret"):
        engine("secret", "rm", secret["metadata"]["name"], check=False)
    engine("network", "rm", "--force", NETWORK, check=False)


def _ended_well(engine: Engine, job: str) -> bool:
    state = engine("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", f"{job}-autoisp")
    return state == "exited 0"


def _says_yes(engine: Engine, container: str) -> bool:
    said = engine("exec", container, "python", "-m", "autoisp_runtime.probe", check=False)
    return said.endswith("SERVING") and "NOT" not in said


def _logs(engine: Engine) -> str:
    """The end of what each container said."""
    names = engine("ps", "--all", "--format", "{{.Names}}").split()
    return "\n".join(f"== {name}\n{engine('logs', '--tail', '5', name, check=False)}" for name in names)
