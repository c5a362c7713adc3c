"""The profile `observability` of compose.yaml against its files, the services and the dashboard."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from autoisp_runtime.telemetry import setup
from compose_engine import ROOT
from processes import check_environment, module_of

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PARTS = [name for name in SERVICES if SERVICES[name].get("build")]
WATCHERS = ("prometheus", "traces", "grafana")
ENV = dict(
    line.split("=", 1)
    for line in (ROOT / "monitoring" / "observability.env").read_text().splitlines()
    if line and not line.startswith("#")
)


def filled(value: str, given: dict[str, str]) -> str:
    """With each ``${VARIABLE:-default}`` as it is given."""
    return re.sub(r"\$\{([A-Z0-9_]+):-([^}]*)\}", lambda found: given.get(found[1]) or found[2], value)


def told(name: str, given: dict[str, str]) -> dict[str, str]:
    return {key: filled(str(value), given) for key, value in SERVICES[name]["environment"].items()}


def mounts(name: str) -> dict[str, Path]:
    """Files of the repository, by where the container has them."""
    bound = [volume.split(":") for volume in SERVICES[name]["volumes"] if volume.startswith("./")]
    assert all(rights == ["ro"] for _, _, *rights in bound)
    return {inside: ROOT / outside for outside, inside, *_ in bound}


def config(name: str) -> dict[str, Any]:
    """The file that a watcher is told to read."""
    (path,) = (path for inside, path in mounts(name).items() if inside in " ".join(SERVICES[name]["command"]))
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def provisioned(kind: str) -> dict[str, Any]:
    (path,) = (path for inside, path in mounts("grafana").items() if f"/provisioning/{kind}/" in inside)
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def trace_endpoint() -> tuple[str, str]:
    """Host and port that spans are sent to."""
    match = re.fullmatch(r"http://([a-z]+):(\d+)", ENV["AUTOISP_OTLP_ENDPOINT"])
    assert match
    return match[1], match[2]


@pytest.mark.parametrize("name", PARTS)
def test_without_the_variables_nothing_is_served_and_nothing_sent(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = told(name, {})
    assert check_environment(module_of(SERVICES[name]["command"]), environment).metrics_listen == ""
    monkeypatch.delenv("OTEL_TRACES_EXPORTER", raising=False)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", environment["OTEL_EXPORTER_OTLP_ENDPOINT"])
    assert not setup.wanted()


@pytest.mark.parametrize("name", PARTS)
def test_with_them_every_part_reports(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = told(name, ENV)
    listen = check_environment(module_of(SERVICES[name]["command"]), environment).metrics_listen
    (scraped,) = config("prometheus")["scrape_configs"]
    (names,) = scraped["dns_sd_configs"]
    assert name in names["names"]
    assert (names["type"], listen) == ("A", f"0.0.0.0:{names['port']}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", environment["OTEL_EXPORTER_OTLP_ENDPOINT"])
    assert setup.wanted()
    assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == ENV["AUTOISP_OTLP_ENDPOINT"]


def test_the_variables_turn_the_profile_on_and_are_all_read() -> None:
    text = (ROOT / "compose.yaml").read_text()
    assert ENV["COMPOSE_PROFILES"] == "observability"
    assert all(f"${{{name}:-}}" in text for name in ENV if name != "COMPOSE_PROFILES")


def test_prometheus_asks_for_parts_alone_and_gives_them_the_labels_of_the_dashboard() -> None:
    (scraped,) = config("prometheus")["scrape_configs"]
    assert set(scraped["dns_sd_configs"][0]["names"]) == set(PARTS)
    rules = {rule["target_label"]: rule for rule in scraped["relabel_configs"]}
    assert rules["namespace"]["replacement"]
    pod = rules["pod"]
    assert pod["source_labels"] == ["__meta_dns_name", "__address__"]
    pattern, replacement = re.compile(pod["regex"]), re.sub(r"\$(\d)", r"\\\1", pod["replacement"])
    names = {
        pattern.fullmatch(f"{dns};{address}").expand(replacement)  # type: ignore[union-attr]
        for dns, address in (
            ("worker", "10.0.0.4:9464"),
            ("worker", "10.0.0.5:9464"),
            ("search.dns.podman.", "10.0.0.6:9464"),
        )
    }
    assert names == {"worker 10.0.0.4", "worker 10.0.0.5", "search 10.0.0.6"}


def test_spans_go_where_jaeger_takes_them() -> None:
    host, port = trace_endpoint()
    jaeger = config(host)
    listening = jaeger["receivers"]["otlp"]["protocols"]["http"]["endpoint"]
    assert listening == f"0.0.0.0:{port}"
    assert jaeger["service"]["pipelines"]["traces"]["receivers"] == ["otlp"]
    # What is wired is there, and what is kept is what is looked at.
    pipeline = jaeger["service"]["pipelines"]["traces"]
    for kind in ("receivers", "processors", "exporters"):
        assert set(pipeline[kind]) == set(jaeger[kind])
    assert set(jaeger["service"]["extensions"]) == set(jaeger["extensions"])
    (store,) = jaeger["extensions"]["jaeger_storage"]["backends"]
    assert jaeger["exporters"]["jaeger_storage_exporter"]["trace_storage"] == store
    assert jaeger["extensions"]["jaeger_query"]["storage"]["traces"] == store
    health = jaeger["extensions"]["healthcheckv2"]["http"]["endpoint"]
    assert f"http://{health}/status" in SERVICES[host]["healthcheck"]["test"]


def test_grafana_finds_both_and_the_one_dashboard() -> None:
    sources = {source["type"]: source for source in provisioned("datasources")["datasources"]}
    assert sources.keys() == {"prometheus", "jaeger"}
    assert sources["prometheus"]["isDefault"]
    query = config("traces")["extensions"]["jaeger_query"]["http"]["endpoint"].rpartition(":")[2]
    assert sources["jaeger"]["url"] == f"http://traces:{query}"
    assert sources["prometheus"]["url"] == "http://prometheus:9090"
    # The dashboard takes the default source of its kind: names and ids of sources are the installation's.
    (folder,) = (provider["options"]["path"] for provider in provisioned("dashboards")["providers"])
    (path,) = (path for inside, path in mounts("grafana").items() if inside.startswith(f"{folder}/"))
    assert path == ROOT / "k8s" / "components" / "monitoring" / "dashboard.json"
    dashboard = json.loads(path.read_text())
    (variable,) = (each for each in dashboard["templating"]["list"] if each["type"] == "datasource")
    assert variable["query"] in sources
    folders = (ROOT / "k8s", ROOT / "monitoring")
    assert [found for folder in folders for found in folder.rglob("*dashboard*.json")] == [path]


@pytest.mark.parametrize("name", WATCHERS)
def test_a_watcher_is_pinned_restricted_and_reads_files_that_are_there(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"docker\.io/[a-z/]+:v?\d+\.\d+\.\d+", service["image"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert all(path.is_file() for path in mounts(name).values())


def test_every_file_of_monitoring_is_used() -> None:
    used = {path for name in WATCHERS for path in mounts(name).values()}
    files = {path for path in (ROOT / "monitoring").rglob("*") if path.is_file()}
    assert files - used == {ROOT / "monitoring" / "observability.env"}


def test_the_guides_name_the_file_and_the_addresses() -> None:
    for guide in ("containers", "observability"):
        text = (ROOT / "docs" / "guides" / f"{guide}.md").read_text()
        assert "cat monitoring/observability.env >> .env" in text
        for name in ("grafana",):
            (port,) = SERVICES[name]["ports"]
            assert f"http://{port.rpartition(':')[0]}" in text
