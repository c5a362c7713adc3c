"""Spans, metrics and ids in logs, without a collector."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import prometheus_client
import pytest
import structlog
from autoisp_core.errors import InvalidArgumentError
from autoisp_runtime.logging import configure_logging
from autoisp_runtime.telemetry import metrics, setup, spans
from autoisp_runtime.telemetry.exposition import serve_metrics
from autoisp_runtime.telemetry.rpc import serving
from autoisp_runtime.telemetry.spans import Parent, span
from autoisp_runtime.tracing import current_traceparent, traced
from autoisp_testing.otlp import OtlpCollector
from autoisp_testing.spans import kept_spans
from autoisp_worker import gpu
from autoisp_worker.compute import ComputeThread, StopRequest
from autoisp_worker.jobs.steps import step
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

GIVEN = f"00-{'a' * 32}-{'b' * 16}-01"


@pytest.fixture
def exported() -> Iterator[InMemorySpanExporter]:
    """What is made, with spans on for a while."""
    with kept_spans() as exporter:
        yield exporter


@pytest.mark.parametrize(
    ("environment", "on"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:4318"}, False),
        ({"OTEL_SERVICE_NAME": "mine"}, False),
    ],
)
def test_the_standard_variables_turn_traces_on(
    environment: dict[str, str], on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert setup.wanted() is on


def test_a_protocol_we_do_not_speak_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with caplog.at_level(logging.WARNING):
        setup.start_tracing("testing", "here", "1")()
    assert "http/protobuf" in caplog.text
    assert not spans.enabled()


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with caplog.at_level(logging.WARNING):
        setup.start_tracing("testing", "here", "1")()
    assert "autoisp[telemetry]" in caplog.text
    assert not spans.enabled()


@pytest.mark.parametrize(
    ("name", "value"),
    [("OTEL_BSP_MAX_QUEUE_SIZE", "3"), ("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", "nobody")],
)
def test_a_wrong_variable_costs_the_traces_and_not_the_process(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv(name, value)
    with caplog.at_level(logging.WARNING):
        setup.start_tracing("testing", "here", "1")()
    assert "no traces" in caplog.text
    assert not spans.enabled()


def run_traced(spans_made: int, lasting_s: float = 0.0, **environment: str) -> tuple[str, float, float]:
    """A program of its own with traces on.

    Returns:
        What it wrote to stderr, and the seconds that making the spans and that sending the last ones took.
    """
    program = f"""
import time
from autoisp_runtime.logging import configure_logging
from autoisp_runtime.telemetry.setup import start_tracing
from autoisp_runtime.telemetry.spans import span
configure_logging("testing", "json")
stop = start_tracing("testing", "here", "1")
began = time.monotonic()
for _ in range({spans_made}):
    with span("a"):
        pass
print(time.monotonic() - began)
time.sleep({lasting_s})
began = time.monotonic()
stop()
print(time.monotonic() - began)
"""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env={**clean, **environment},
        timeout=60,
    )
    making_s, ending_s = map(float, done.stdout.split())
    return done.stderr, making_s, ending_s


def test_a_collector_that_is_away_is_told_of_once_and_holds_nothing_up() -> None:
    # Long enough for a second attempt.
    log, making_s, ending_s = run_traced(
        5000, 2.5, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_BSP_SCHEDULE_DELAY="50"
    )
    assert log.count("trace_exporter") == 1
    assert "Connection refused" in log
    assert making_s < 5
    assert ending_s < 4


def test_a_collector_that_does_not_answer_holds_nothing_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        log, making_s, ending_s = run_traced(5000, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    assert making_s < 5
    assert ending_s < 4
    assert log.count("Queue full") <= 2


def test_who_runs_it_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    given = "service.namespace=team,service.name=ours,k8s.pod.name=p"
    with OtlpCollector() as collector:
        run_traced(1, OTEL_RESOURCE_ATTRIBUTES=given, **collector.environment)
        run_traced(1, OTEL_SERVICE_NAME="mine", **collector.environment)
        run_traced(1, **collector.environment)
        collector.wait(lambda spans: len(spans) == 3)
    assert sorted(each.service for each in collector.spans) == ["autoisp-testing", "mine", "ours"]
    resources = {each.service: each.resource for each in collector.spans}
    assert resources["ours"]["service.namespace"] == "team"
    assert resources["ours"]["k8s.pod.name"] == "p"
    assert resources["mine"]["service.namespace"] == "autoisp"
    assert resources["mine"]["service.instance.id"] == "here"


def test_off_nothing_of_the_sdk_is_imported() -> None:
    code = (
        "import sys, autoisp_runtime.lifecycle, autoisp_client; from autoisp_runtime.telemetry import setup;"
        "setup.start_tracing('a', 'b', 'c')();"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry.sdk')]"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    subprocess.run([sys.executable, "-c", code], check=True, env=clean, timeout=60)


def test_off_the_context_is_passed_on() -> None:
    with span("any", parent=GIVEN) as off:
        assert current_traceparent() == GIVEN
        with span("inner"), span("new", parent=Parent.NONE):
            assert current_traceparent() == GIVEN
        assert not off.is_recording()
    assert current_traceparent() is None


def test_off_it_costs_next_to_nothing() -> None:
    def call() -> None:
        with serving("/a.B/C", GIVEN) as served:
            served.ended("OK")

    def job_step() -> None:
        with step("train"):
            pass

    for what in (call, job_step):
        times = []
        for _ in range(5):
            began = time.thread_time()  # of this thread alone, however busy the machine is
            for _ in range(500):
                what()
            times.append((time.thread_time() - began) / 500)
        assert min(times) < 50e-6  # some 6 µs; a span that is made takes 20 more


def test_on_spans_hang_where_they_are_told(exported: InMemorySpanExporter) -> None:
    with span("outer", parent=GIVEN):
        with span("inner"):
            pass
        with span("own", parent=Parent.NONE):
            pass
    with span("lost", parent="nonsense"):
        pass
    inner, own, outer, lost = exported.get_finished_spans()
    assert outer.parent is not None
    assert f"{outer.parent.trace_id:x}-{outer.parent.span_id:x}" == f"{'a' * 32}-{'b' * 16}"
    assert inner.parent is not None
    assert inner.parent.span_id == outer.context.span_id
    assert (own.parent, [link.context.span_id for link in own.links]) == (None, [outer.context.span_id])
    assert own.context.trace_id != outer.context.trace_id
    assert (lost.parent, len(lost.links)) == (None, 0)


def test_a_trace_of_something_with_a_name_is_the_same_again(exported: InMemorySpanExporter) -> None:
    def begin(key: str) -> None:
        with span("root", parent=Parent.NONE, trace_key=key), span("other", parent=Parent.NONE):
            pass

    with span("outer", parent=GIVEN):
        begin("trial.run.a")
        begin("trial.run.a")
        begin("trial.run.b")
    roots = [each for each in exported.get_finished_spans() if each.name == "root"]
    a, again, b = (root.context.trace_id for root in roots)
    assert a == again != b
    assert len({root.context.span_id for root in roots}) == 3
    assert all(root.parent is None and len(root.links) == 1 for root in roots)
    # The key is of the one trace that begins with it.
    others = {each.context.trace_id for each in exported.get_finished_spans() if each.name == "other"}
    assert len(others) == 3
    assert not others & {a, b}


def test_what_is_not_sampled_stays_so(exported: InMemorySpanExporter) -> None:
    with span("outer", parent=GIVEN[:-1] + "0"):
        traceparent = current_traceparent()
    assert traceparent is not None
    assert traceparent.endswith("-00")
    assert exported.get_finished_spans() == ()


def test_a_failure_is_marked_and_goes_on(exported: InMemorySpanExporter) -> None:
    with pytest.raises(InvalidArgumentError), span("work"):
        raise InvalidArgumentError("x", "x must be y", reason="BAD_X")
    (failed,) = exported.get_finished_spans()
    assert failed.attributes is not None
    assert (failed.status.is_ok, failed.attributes["error.type"]) == (False, "BAD_X")
    assert not failed.events  # the log has the stack


async def test_the_compute_thread_works_in_the_context_of_its_task(exported: InMemorySpanExporter) -> None:
    def work() -> str | None:
        with span("step"):
            return current_traceparent()

    with span("job", parent=GIVEN):
        inside = await ComputeThread().run(work, StopRequest())
    assert inside is not None
    assert inside.split("-")[1] == "a" * 32
    step, job = exported.get_finished_spans()
    assert step.parent is not None
    assert step.parent.span_id == job.context.span_id


@pytest.mark.parametrize("form", ["json", "pretty"])
def test_log_lines_carry_what_they_belong_to(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    before, level = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        configure_logging("testing", form)  # type: ignore[arg-type]
        log = structlog.get_logger("x")
        log.info("outside")
        with traced(GIVEN):
            log.info("inside")
            logging.getLogger("library").warning("theirs")
    finally:
        logging.getLogger().handlers[:] = before
        logging.getLogger().setLevel(level)
        structlog.reset_defaults()
    outside, inside, theirs = capsys.readouterr().err.splitlines()
    assert "trace_id" not in outside
    for line in (inside, theirs):
        if form == "json":
            assert (json.loads(line)["trace_id"], json.loads(line)["span_id"]) == ("a" * 32, "b" * 16)
        else:
            assert f"trace_id={'a' * 32}" in line
            assert f"span_id={'b' * 16}" in line


def test_metrics_are_served_and_a_taken_port_is_refused() -> None:
    port = serve_metrics("127.0.0.1:0")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        text = response.read().decode()
    assert "# TYPE autoisp_rpc_duration_seconds histogram" in text
    with pytest.raises(InvalidArgumentError) as caught:
        serve_metrics(f"127.0.0.1:{port}")
    assert caught.value.field == "metrics_listen"


def test_names_follow_the_conventions_of_prometheus() -> None:
    found = [
        each
        for each in vars(metrics).values()
        if isinstance(each, prometheus_client.metrics.MetricWrapperBase)
    ]
    assert len(found) > 20
    for metric in found:
        assert metric._name.startswith("autoisp_")
        assert metric._documentation.endswith(".")
        if metric._type == "histogram":
            assert metric._name.endswith("_seconds")


async def test_figures_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (3 << 30, 8 << 30))
    monkeypatch.setattr(torch.cuda, "utilization", lambda index: 40 + index)
    await gpu.gpu_figures("cuda:1")()

    def value(name: str) -> float | None:
        return prometheus_client.REGISTRY.get_sample_value(name, {"device": "1"})

    assert value("autoisp_gpu_memory_used_bytes") == 5 << 30
    assert value("autoisp_gpu_memory_bytes") == 8 << 30
    assert value("autoisp_gpu_utilization_ratio") == pytest.approx(0.41)


async def test_a_gpu_that_does_not_say_how_busy_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    class NVMLError(Exception):
        """As of NVIDIA's library, which a part of a GPU gets: of no class of ours or Python's."""

    def refused(index: int) -> int:
        raise NVMLError("Not Supported")

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (3 << 30, 8 << 30))
    figures = gpu.gpu_figures("cuda:2")
    with structlog.testing.capture_logs() as log:
        for utilization in (lambda index: 40, refused, refused):
            monkeypatch.setattr(torch.cuda, "utilization", utilization)
            await figures()
    labels = {"device": "2"}
    assert prometheus_client.REGISTRY.get_sample_value("autoisp_gpu_memory_bytes", labels) == 8 << 30
    # Not the last one that it told.
    assert prometheus_client.REGISTRY.get_sample_value("autoisp_gpu_utilization_ratio", labels) is None
    assert [line["error"] for line in log] == ["Not Supported"]
