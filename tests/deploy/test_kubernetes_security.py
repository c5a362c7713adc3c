"""The overlay `prod` lets in who proves who it is: by its manifests, and run from them without a cluster."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from autoisp_client import Client, Tls
from autoisp_core.errors import AutoISPError
from autoisp_runtime.jetstream.roles import OPERATOR, ROLES
from autoisp_runtime.jetstream.topology import COMMAND_STREAM, WORKER_TRIALS
from autoisp_runtime.nats_binary import find_nats_server
from autoisp_runtime.security.config import is_loopback, refuse_open_listen
from autoisp_testing.certificates import Authority
from autoisp_testing.nats import NatsServer
from autoisp_testing.ports import free_ports
from manifests import K8S, Manifest, build, build_overlay, environment, named, of_kind, ours, pod_spec
from pods import GUIDE, MountedSecret, Pod, secrets_of_the_guide
from processes import check_environment

Secrets = dict[str, dict[str, bytes]]

LIVENESS_PROBE = ["python", "-m", "autoisp_runtime.probe", "--service", "liveness", "--timeout", "5"]
READINESS_PROBE = ["python", "-m", "autoisp_runtime.probe", "--timeout", "5"]


@pytest.fixture(scope="module")
def prod() -> list[Manifest]:
    return build_overlay("prod")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the guide's commands are given."""
    folder = tmp_path_factory.mktemp("operator")
    Authority(folder, "ca").issue("server")
    return folder


@pytest.fixture(scope="module")
def secrets(made: Path) -> Secrets:
    """What they made, by name and key."""
    return secrets_of_the_guide(made)


def secret_mounts(workload: Manifest) -> dict[str, str]:
    """Secrets by the folder that they are mounted as."""
    sources = {volume["name"]: volume.get("secret") for volume in pod_spec(workload).get("volumes", ())}
    [container] = pod_spec(workload)["containers"]
    found = {}
    for mount in container["volumeMounts"]:
        if source := sources.get(mount["name"]):
            assert "subPath" not in mount, "a file that is mounted alone never changes"
            assert mount["readOnly"] is True
            assert "items" not in source
            assert not source.get("optional")
            assert source["defaultMode"] == 0o440, "the group is fsGroup"
            found[mount["mountPath"]] = source["secretName"]
    return found


def test_nobody_is_let_in_unasked(prod: list[Manifest]) -> None:
    assert "AUTOISP_INSECURE" not in yaml.safe_dump_all(prod)
    for workload, container, module in ours(prod):
        config = check_environment(module, environment(prod, container))
        if workload["kind"] == "Job":
            continue
        refuse_open_listen(config, config.listen)
        if module == "autoisp_worker":
            assert is_loopback(config.listen)
            assert not config.tokens_file, "a worker runs what it is given"
            assert not config.tls_key
        else:
            assert config.tokens_file
            assert config.tls_cert
            assert config.tls_key


def test_the_base_lets_nobody_in_either() -> None:
    assert "AUTOISP_INSECURE" not in yaml.safe_dump_all(build(K8S / "base"))


def test_authentication_goes_without_tls(tmp_path: Path) -> None:
    """As where a mesh encrypts: kubelet asks the services itself then."""
    parts = {name: os.path.relpath(K8S / name, tmp_path) for name in ("base", "components/authentication")}
    kustomization = {"resources": [parts["base"]], "components": [parts["components/authentication"]]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    manifests = build(tmp_path)
    for workload, container, module in ours(manifests):
        if workload["kind"] == "Deployment":
            config = check_environment(module, environment(manifests, container))
            refuse_open_listen(config, config.listen)
            assert not config.tls_cert
            assert ("grpc" in container["livenessProbe"]) is not is_loopback(config.listen)
    for service in of_kind(manifests, "Service"):
        assert service["spec"]["ports"][0].get("appProtocol") in (None, "kubernetes.io/h2c")


def test_every_secret_is_one_that_the_guide_makes_and_has_what_is_read_of_it(
    prod: list[Manifest], secrets: Secrets
) -> None:
    used = set()
    for workload, container, _ in ours(prod):
        mounts = secret_mounts(workload)
        used |= set(mounts.values())
        read = {
            name: value
            for name, value in environment(prod, container).items()
            if value and value.startswith("/etc/")
        }
        for name, value in read.items():
            folder, _, key = value.rpartition("/")
            assert key in secrets[mounts[folder]], name
        assert {value.rpartition("/")[0] for value in read.values()} == mounts.keys(), "mounted, and not read"
        for variable in container["env"]:
            if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                assert reference["key"] in secrets[reference["name"]]
                used.add(reference["name"])
    [authorization] = secret_mounts(named(prod, "StatefulSet", "nats")).values()
    assert used | {authorization} == secrets.keys()


def test_each_process_is_a_nats_user_of_its_own(prod: list[Manifest]) -> None:
    users = {}
    for workload, container, module in ours(prod):
        config = check_environment(module, environment(prod, container))
        seeds = [name for name in secret_mounts(workload).values() if name.startswith("autoisp-nats-")]
        if module == "autoisp_runtime.migrate":
            assert not seeds, "it has no business with NATS"
            continue
        [users[config.service]] = seeds
        assert config.nats_credentials
        assert config.nats_topology is (config.service == "topology"), "services may make no streams"
    assert users == {"topology": f"autoisp-nats-{OPERATOR}"} | {
        role.name: f"autoisp-nats-{role.name}" for role in ROLES
    }


def test_who_speaks_tls_is_probed_by_who_speaks_it_too(prod: list[Manifest]) -> None:
    for workload, container, _ in ours(prod):
        if workload["kind"] == "Job":
            continue
        commands = {
            "startupProbe": LIVENESS_PROBE,
            "livenessProbe": LIVENESS_PROBE,
            "readinessProbe": READINESS_PROBE,
        }
        for name, command in commands.items():
            probe = container[name]
            assert probe["exec"] == {"command": command}
            assert probe.keys() & {"grpc", "httpGet", "tcpSocket"} == set()
            assert probe["timeoutSeconds"] >= 5 + 5, "Python starts before it asks, on a busy node slowly"
            assert name == "startupProbe" or probe["periodSeconds"] >= 10, "each costs a start of Python"


def test_services_say_that_they_speak_tls(prod: list[Manifest]) -> None:
    for name, protocol in (("prod", "https"), ("dev", "kubernetes.io/h2c")):
        ports = [s["spec"]["ports"][0] for s in of_kind(build_overlay(name), "Service")]
        assert {p["appProtocol"] for p in ports if p["name"] == "grpc"} == {protocol}


def nats_config(overlay: list[Manifest], secrets: Secrets, root: Path) -> Path:
    """The configuration that the server is started with, its files where the pod has them, below ``root``."""
    stateful_set = named(overlay, "StatefulSet", "nats")
    [files] = [m["data"] for m in of_kind(overlay, "ConfigMap") if "nats.conf" in m["data"]]
    MountedSecret(root / "etc/nats-config", {name: text.encode() for name, text in files.items()})
    for folder, name in secret_mounts(stateful_set).items():
        MountedSecret(Path(f"{root}{folder}"), secrets[name])
    [container] = pod_spec(stateful_set)["containers"]
    option, path = container["args"]
    assert option == "--config"
    return Path(f"{root}{path}")


def test_nats_takes_the_users_beside_its_configuration(
    prod: list[Manifest], secrets: Secrets, tmp_path: Path
) -> None:
    command = [find_nats_server(), "-t", "-c", nats_config(prod, secrets, tmp_path)]
    checked = subprocess.run(command, env={"POD_NAME": "nats-0"}, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    authorization = tmp_path / "etc/nats-authorization/authorization.conf"
    assert "nkey" in authorization.read_text()
    authorization.resolve().write_text("authorization { users: nonsense }")
    checked = subprocess.run(command, env={"POD_NAME": "nats-0"}, capture_output=True, text=True, check=False)
    assert checked.returncode != 0, "the file is included"


class Broker:
    """One server with production's configuration, but for what takes a cluster."""

    def __init__(self, overlay: list[Manifest], secrets: Secrets, root: Path) -> None:
        config = nats_config(overlay, secrets, root)
        [self.monitoring] = free_ports(1)
        shared = (config.parent / "nats.conf").resolve()
        text = re.sub(r"^cluster \{.*?^\}$", "", shared.read_text(), flags=re.DOTALL | re.MULTILINE)
        for here, there in (
            (f"http_port: {self.monitoring}", "http_port: 8222"),
            (f"{root}/", "/run/nats/"),
            ("", "store_dir: /data\n"),  # the server's own option says so
        ):
            assert there in text
            text = text.replace(there, here)
        shared.write_text(text)
        self.pid_file = root / "nats.pid"
        self.server = NatsServer(root / "nats", config)

    def seen_by_keda(self) -> dict[str, int]:
        """The lag of each consumer of commands."""
        url = f"http://127.0.0.1:{self.monitoring}/jsz?acc=$G&consumers=true&config=true"
        with urllib.request.urlopen(url, timeout=5) as answer:
            [account] = [a for a in json.load(answer)["account_details"] if a["name"] == "$G"]
        [stream] = [s for s in account["stream_detail"] if s["name"] == COMMAND_STREAM]
        return {c["name"]: c["num_pending"] + c["num_ack_pending"] for c in stream["consumer_detail"]}


@pytest.fixture
def broker(
    prod: list[Manifest], secrets: Secrets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Broker]:
    monkeypatch.setenv("POD_NAME", "nats-0")
    broker = Broker(prod, secrets, tmp_path / "nats-0")
    with broker.server:
        yield broker


def until(is_so: Callable[[], bool], timeout_s: float = 90.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.timeout(300)
def test_it_runs_as_the_manifests_say(
    prod: list[Manifest], secrets: Secrets, made: Path, broker: Broker, tmp_path: Path
) -> None:
    url = broker.server.url
    topology = Pod(
        prod, named(prod, "Job", "topology"), secrets, tmp_path / "topology", nats_url=url, nats_replicas="1"
    )
    assert topology.exec(topology.container["command"]) == 0, topology.log
    assert broker.seen_by_keda()[WORKER_TRIALS.durable] == 0

    [port] = free_ports(1)
    deployment = named(prod, "Deployment", "registry")
    settings = {"nats_url": url, "listen": f"0.0.0.0:{port}", "metrics_listen": "127.0.0.1:0"}
    registry = Pod(prod, deployment, secrets, tmp_path / "registry", **settings)
    assert registry.probe("startupProbe") == 1
    with registry.running() as process:
        until(lambda: process.poll() is not None or registry.probe("startupProbe") == 0)
        assert process.poll() is None, registry.log
        until(lambda: registry.probe("readinessProbe") == 0)

        address, tls, token = (
            f"127.0.0.1:{port}",
            Tls(made / "ca.pem"),
            (made / "ops.token").read_text().strip(),
        )

        def refusal(tls: Tls | None, token: str) -> str:
            try:
                with Client(address, patience=0, tls=tls, token=token) as client:
                    list(client.list_models())
            except AutoISPError as error:
                return error.reason
            return ""

        assert refusal(tls, token) == ""
        assert refusal(tls, "autoisp_guessed") == "UNKNOWN_TOKEN"
        assert refusal(tls, "") == "NO_TOKEN"
        assert refusal(None, token)

        # Both secrets change, as kubelet has it: the process that runs goes by the new ones.
        others = Authority(tmp_path / "others", "others")
        files = others.issue("server")
        registry.mounted["tls"].follow(
            {"tls.crt": files.cert.read_bytes(), "tls.key": files.key.read_bytes()}
        )
        registry.mounted["tokens"].follow({"tokens.toml": b""})
        until(lambda: refusal(Tls(others.ca), token) == "UNKNOWN_TOKEN")
        until(lambda: registry.probe("livenessProbe") == 0)

        # NATS reads its users again by the guide's command.
        [signal] = re.findall(r"nats-server (--signal\s+reload=)/run/nats/nats.pid", GUIDE.read_text())
        subprocess.run([find_nats_server(), *f"{signal}{broker.pid_file}".split()], check=True)
        until(lambda: "Reloaded server configuration" in broker.server.log)

        assert "iolation" not in broker.server.log + registry.log + topology.log
        broker.server.kill()
        until(lambda: registry.probe("readinessProbe") == 1)
        until(lambda: registry.probe("livenessProbe") == 0)  # a restart would not bring NATS back
    assert registry.probe("livenessProbe") == 1
