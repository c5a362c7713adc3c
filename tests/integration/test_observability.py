"""Traces, metrics and logs of real processes: a program, the search service, a worker."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from autoisp.ingest.v1 import ingest_pb2
from autoisp_testing.nats import NatsServer
from autoisp_testing.otlp import CollectedSpan, OtlpCollector
from autoisp_testing.processes import ServiceProcess
from prometheus_client.parser import text_string_to_metric_families
from worker_bus import worker_process
from worker_jobs import Footage

ROOT = Path(__file__).parents[2]
STEPS = {"train", "export", "validate", "time", "upload"}


def scrape(process: ServiceProcess) -> dict[str, list[tuple[dict[str, str], float]]]:
    """What a process exposes: samples by name; families without samples by theirs."""
    port = re.search(r'"port": (\d+)[^\n]*"event": "metrics"', process.log)
    assert port, process.log[-2000:]
    with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/metrics", timeout=10) as response:
        text = response.read().decode()
    found: dict[str, list[tuple[dict[str, str], float]]] = defaultdict(list)
    for family in text_string_to_metric_families(text):
        found[family.name] = []
        for sample in family.samples:
            found[sample.name].append((dict(sample.labels), sample.value))
    return dict(found)


@dataclass(frozen=True)
class Seen:
    """What was seen of one search of two trials, of which one went on to a second rung."""

    printed: str
    spans: list[CollectedSpan]
    search_log: list[dict[str, object]]
    worker_log: list[dict[str, object]]
    search_metrics: dict[str, list[tuple[dict[str, str], float]]]
    worker_metrics: dict[str, list[tuple[dict[str, str], float]]]

    def trace(self, attribute: str, value: str) -> list[CollectedSpan]:
        """All spans of the one trace that has a root with this attribute."""
        (root,) = [span for span in self.spans if span.attributes.get(attribute) == value and not span.parent]
        return [span for span in self.spans if span.trace == root.trace]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("observed")
    with (
        pytest.MonkeyPatch.context() as patch,
        OtlpCollector() as collector,
        NatsServer(folder / "n") as nats,
    ):
        for name, value in collector.environment.items():
            patch.setenv(name, value)
        footage = Footage.make(folder / "artifacts")
        dataset = ingest_pb2.Dataset(name="datasets/d", manifest=footage.manifest)
        footage.store.put_result(dataset.name, dataset.SerializeToString())
        settings = {"metrics_listen": "127.0.0.1:0", "profile_seconds": 0.5}
        search = ServiceProcess("autoisp_search", folder, nats_url=nats.url, metrics_listen="127.0.0.1:0")
        with search.start(), worker_process(nats, folder, **settings) as worker:
            client = subprocess.run(
                [sys.executable, Path(__file__).with_name("traced_client.py"), search.address, dataset.name],
                capture_output=True,
                text=True,
                timeout=150,
                check=False,
            )
            assert client.returncode == 0, client.stderr[-3000:]
            time.sleep(5.5)  # sampled every five seconds
            metrics = scrape(search), scrape(worker)
            worker.stop()
            search.stop()
            logs = [[json.loads(line) for line in each.log.splitlines()] for each in (search, worker)]
        yield Seen(client.stdout, collector.spans, *logs, *metrics)


def test_a_trial_is_one_trace_over_both_processes(seen: Seen) -> None:
    for trial in ("r0-0001", "r0-0002", "r1-0001"):
        spans = seen.trace("autoisp.trial", f"searches/traced/trials/{trial}")
        by_id = {span.span: span for span in spans}
        parents = {
            (span.service, span.name): by_id[span.parent].name if span.parent else "" for span in spans
        }
        assert parents[("autoisp-search", "trial")] == ""
        assert parents[("autoisp-search", "send trial.run")] == "trial"
        assert parents[("autoisp-worker", "process trial.run")] == "send trial.run"
        for step in STEPS:
            assert parents[("autoisp-worker", step)] == "process trial.run", step
        assert parents[("autoisp-worker", "send trial.completed")] == "process trial.run"
        assert parents[("autoisp-search", "process trial.completed")] == "send trial.completed"
        assert not any(span.failed for span in spans)


def test_each_trial_says_what_caused_it(seen: Seen) -> None:
    (root,) = [span for span in seen.spans if span.name == "tune"]
    by_trial = {s.attributes["autoisp.trial"]: s for s in seen.spans if s.name == "trial"}
    traces = {span.trace for span in seen.spans}
    assert len({span.trace for span in by_trial.values()}) == 3
    assert all(set(span.links) <= traces and span.links for span in by_trial.values())
    # The first trials follow from the profile, which was asked for in the program's own trace.
    assert by_trial["searches/traced/trials/r0-0001"].links == (root.trace,)


def test_a_call_is_a_span_of_the_client_and_one_of_the_server(seen: Seen) -> None:
    (root,) = [span for span in seen.spans if span.name == "tune"]
    method = "autoisp.search.v1.SearchService/CreateSearch"
    called, served = sorted((s for s in seen.spans if s.name == method), key=lambda s: s.kind)
    assert (called.service, called.kind, called.parent) == ("autoisp-program", "client", root.span)
    assert (served.service, served.kind, served.parent) == ("autoisp-search", "server", called.span)
    assert served.attributes == {
        "rpc.system": "grpc",
        "rpc.service": "autoisp.search.v1.SearchService",
        "rpc.method": "CreateSearch",
        "rpc.grpc.status_code": 0,
    }
    # In the trace of the call: the prototype's profile, over the bus and back.
    names = {(span.service, span.name) for span in seen.spans if span.trace == root.trace}
    assert ("autoisp-worker", "profile") in names
    assert ("autoisp-search", "process prototype.profiled") in names


def test_calls_of_both_clients_are_spans(seen: Seen) -> None:
    for method, times in (("WatchSearch", 2), ("GetSearch", 1)):
        spans = [s for s in seen.spans if s.name == f"autoisp.search.v1.SearchService/{method}"]
        assert [s.kind for s in sorted(spans, key=lambda s: s.kind)] == ["client"] * times + [
            "server"
        ] * times
        called = {s.span for s in spans if s.kind == "client"}
        assert {s.parent for s in spans if s.kind == "server"} == called
        assert not any(span.failed for span in spans)


def test_a_refused_call_failed_for_the_client_only(seen: Seen) -> None:
    method = "autoisp.search.v1.SearchService/GetTrial"
    called, served = sorted((s for s in seen.spans if s.name == method), key=lambda s: s.kind)
    assert (called.failed, called.attributes["error.type"]) == (True, "NOT_FOUND")
    assert (served.failed, served.attributes["rpc.grpc.status_code"]) == (False, 5)


def test_messages_have_the_attributes_of_the_conventions(seen: Seen) -> None:
    spans = seen.trace("autoisp.trial", "searches/traced/trials/r0-0001")
    (sent,) = [span for span in spans if span.name == "send trial.run"]
    (handled,) = [span for span in spans if span.name == "process trial.run"]
    subject = "autoisp.v1.cmd.trial.run.traced-r0-0001"
    assert (sent.kind, handled.kind) == ("producer", "consumer")
    assert sent.attributes["messaging.system"] == handled.attributes["messaging.system"] == "nats"
    assert sent.attributes["messaging.destination.name"] == subject
    assert handled.attributes["messaging.message.id"] == sent.attributes["messaging.message.id"]
    assert handled.attributes["messaging.consumer.group.name"] == "worker-trials"


def test_log_lines_carry_the_ids_of_their_span(seen: Seen) -> None:
    known = {(span.trace, span.span) for span in seen.spans}
    for log, at_least in ((seen.search_log, 3), (seen.worker_log, 1)):
        lines = [line for line in log if "trace_id" in line]
        assert len(lines) >= at_least
        assert {(line["trace_id"], line["span_id"]) for line in lines} <= known
    (call,) = [line for line in seen.search_log if str(line.get("method", "")).endswith("/CreateSearch")]
    (root,) = [span for span in seen.spans if span.name == "tune"]
    assert call["trace_id"] == root.trace


def total(samples: list[tuple[dict[str, str], float]], **labels: str) -> float:
    return sum(value for found, value in samples if labels.items() <= found.items())


def test_the_metrics_tell_what_happened(seen: Seen) -> None:
    search, worker = seen.search_metrics, seen.worker_metrics
    method = "/autoisp.search.v1.SearchService/CreateSearch"
    assert total(search["autoisp_rpc_duration_seconds_count"], method=method, code="OK") == 1
    assert total(search["autoisp_rpc_duration_seconds_count"], code="NOT_FOUND") == 1
    handled = worker["autoisp_messages_handled_total"]
    assert total(handled, consumer="worker-trials", kind="trial.run", outcome="acked") == 3
    assert total(handled, outcome="retried") + total(handled, outcome="dead_letter") == 0
    assert total(worker["autoisp_worker_trials_total"], state="SUCCEEDED") == 3
    assert total(worker["autoisp_worker_training_steps_total"]) == 5 + 5 + 8
    assert total(worker["autoisp_worker_training_pixels_total"]) == 18 * 8 * 48 * 48
    assert {labels["step"] for labels, _ in worker["autoisp_worker_step_seconds_count"]} == STEPS | {
        "profile"
    }
    assert total(search["autoisp_messages_published_total"], kind="trial.run") == 3
    assert total(search["autoisp_outbox_wait_seconds_count"]) >= 5
    assert total(search["autoisp_outbox_messages"]) == 0
    assert total(search["autoisp_database_session_seconds_count"], mode="write") > 3
    assert total(search["autoisp_dependency_up"], dependency="database") == 1
    assert total(search["autoisp_searches"], state="SUCCEEDED") == 1
    assert total(search["autoisp_search_trials"]) == 0  # the search has ended
    assert total(search["autoisp_consumer_waiting_messages"], consumer="worker-trials") == 0
    assert total(search["autoisp_consumer_idle_requests"], consumer="search-results") == 1
    assert total(search["autoisp_stream_messages"], stream="AUTOISP_EVT") > 3
    assert total(worker["process_cpu_seconds_total"]) > 0


def test_the_guide_lists_exactly_what_is_exposed(seen: Seen) -> None:
    guide = (ROOT / "docs/guides/observability.md").read_text()
    listed = set(re.findall(r"^\| `(autoisp_\w+)`", guide, re.MULTILINE))
    exposed = set()
    for family in {**seen.search_metrics, **seen.worker_metrics}:
        name = re.sub(r"_(total|created|bucket|count|sum)$", "", family)
        if name.startswith("autoisp_"):
            exposed.add(name)
    assert {re.sub(r"_total$", "", name) for name in listed} == exposed
