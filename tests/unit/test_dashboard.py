"""The Grafana dashboard asks for nothing that no process exposes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import prometheus_client
import pytest
from autoisp_runtime.telemetry import metrics

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "k8s/components/monitoring"
ADDED = {"namespace", "pod", "le"}
"""Labels that scraping and histograms add."""
UNITS = (
    (r"histogram_quantile\(.*_seconds_bucket|^[^(]*\(?[^(]*\(autoisp_\w+_seconds\{", "s"),
    (r"^max by \(\w+\) \(autoisp_\w+_bytes|^process_resident_memory_bytes", "bytes"),
    (r"_ratio\{|_bytes\{[^/]*/", "percentunit"),
    (r"^sum by \([^)]*\) \(rate\(autoisp_rpc_", "reqps"),
    (r"^sum by \([^)]*\) \(rate\(autoisp_(messages|worker_training_steps)_[^/*]*$", "ops"),
)
"""What an expression looks like, and Grafana's name of its unit; else it is a number."""


def exposed() -> dict[str, set[str]]:
    """Names of samples, and the labels of each."""
    found = {name: set[str]() for name in ("process_cpu_seconds_total", "process_resident_memory_bytes")}
    suffixes = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_count", "_sum"]}
    for metric in vars(metrics).values():
        if isinstance(metric, prometheus_client.metrics.MetricWrapperBase):
            for suffix in suffixes[metric._type]:
                found[f"{metric._name}{suffix}"] = set(metric._labelnames)
    return found


DASHBOARD: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    return [target["expr"] for panel in PANELS for target in panel["targets"]]


@pytest.mark.parametrize("expression", expressions())
def test_every_metric_and_label_exists(expression: str) -> None:
    names, known = re.findall(r"(\w+)\{([^}]*)\}", expression), exposed()
    assert names
    labels = set(ADDED)
    for name, selectors in names:
        assert name in known
        assert set(re.findall(r"(\w+)[=!]~?", re.sub(r'"[^"]*"', "", selectors))) <= known[name] | ADDED
        labels |= known[name]
    for grouping in re.findall(r"(?:by|on) \(([^)]*)\)", expression):
        assert set(re.split(r",\s*", grouping)) <= labels


@pytest.mark.parametrize("expression", expressions())
def test_what_only_grows_is_looked_at_by_its_rate_and_nothing_else_is(expression: str) -> None:
    rated = set(re.findall(r"rate\((\w+)\{[^}]*\}\[\d+m\]\)", expression))
    assert expression.count("rate(") == len(rated)
    for name, _ in re.findall(r"(\w+)\{([^}]*)\}", expression):
        assert (name in rated) is name.endswith(("_total", "_bucket", "_count", "_sum")), name


@pytest.mark.parametrize("expression", [each for each in expressions() if "_bucket" in each])
def test_a_quantile_is_of_buckets_that_keep_their_bounds(expression: str) -> None:
    assert re.match(r"histogram_quantile\(0\.\d+, sum by \(le[,)]", expression)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_has_the_unit_of_what_it_shows(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        (unit,) = {unit for shown, unit in UNITS if re.search(shown, target["expr"])} or {"short"}
        assert panel["fieldConfig"]["defaults"]["unit"] == unit, target["expr"]
        kept = re.findall(r"by \(([^)]*)\)", target["expr"])
        named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        if kept:
            assert named == set(re.split(r",\s*", kept[-1])) - {"le"}


def test_no_panel_hides_another_and_all_ask_the_chosen_data_source() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"${datasource}"}
    (chosen,) = [each for each in DASHBOARD["templating"]["list"] if each["name"] == "datasource"]
    assert (chosen["type"], chosen["query"]) == ("datasource", "prometheus")


def test_what_every_program_exposes_is_shown_of_ours_alone() -> None:
    for expression in expressions():
        if re.search(r"\bprocess_", expression):
            assert " and on (namespace, pod) autoisp_dependency_up{" in expression


def test_every_metric_is_on_the_dashboard() -> None:
    asked = set(re.findall(r"(autoisp_\w+?)(?:_bucket|_count|_sum)?\{", " ".join(expressions())))
    families = {
        re.sub(r"_(bucket|count|sum)$", "", name) for name in exposed() if name.startswith("autoisp_")
    }
    assert asked == families


def test_the_component_listens_where_its_policy_and_monitor_look() -> None:
    text = (MONITORING / "kustomization.yaml").read_text()
    (port,) = re.findall(r"name: metrics, containerPort: (\d+)", text)
    assert f'name: AUTOISP_METRICS_LISTEN, value: "0.0.0.0:{port}"' in text
    assert f"port: {port}" in (MONITORING / "network-policy.yaml").read_text()
    assert "port: metrics" in (MONITORING / "pod-monitor.yaml").read_text()
    for name in ("dashboard.json", "pod-monitor.yaml", "network-policy.yaml"):
        assert name in text
