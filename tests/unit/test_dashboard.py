"""The Grafana dashboard asks for nothing that no process exposes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import prometheus_client
import pytest
from autoisp_runtime.telemetry import metrics

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "k8s/components/monitoring"
ADDED = {"namespace", "pod", "le"}
"""Labels that scraping and histograms add."""


def exposed() -> dict[str, set[str]]:
    """Names of samples, and the labels of each."""
    found = {name: set[str]() for name in ("process_cpu_seconds_total", "process_resident_memory_bytes")}
    suffixes = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_count", "_sum"]}
    for metric in vars(metrics).values():
        if isinstance(metric, prometheus_client.metrics.MetricWrapperBase):
            for suffix in suffixes[metric._type]:
                found[f"{metric._name}{suffix}"] = set(metric._labelnames)
    return found


def expressions() -> list[str]:
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]


@pytest.mark.parametrize("expression", expressions())
def test_every_metric_and_label_exists(expression: str) -> None:
    names, known = re.findall(r"(\w+)\{([^}]*)\}", expression), exposed()
    assert names
    labels = set(ADDED)
    for name, selectors in names:
        assert name in known
        assert set(re.findall(r"(\w+)[=!]~?", re.sub(r'"[^"]*"', "", selectors))) <= known[name] | ADDED
        labels |= known[name]
    for grouping in re.findall(r"by \(([^)]*)\)", expression):
        assert set(re.split(r",\s*", grouping)) <= labels


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
