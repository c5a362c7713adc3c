"""``autoisp status`` and ``autoisp dlq`` with everything that a machine runs, and their spans."""

import asyncio
import json
import os
from pathlib import Path

import pytest
from autoisp_cli.local import LocalStack
from autoisp_runtime.jetstream import Event, NatsConnection, Publisher, event_subject
from autoisp_testing.otlp import OtlpCollector
from command import ENVIRONMENT, autoisp


async def poison(url: str) -> None:
    """An event that no release can read."""
    connection = await NatsConnection.open(url)
    subject = event_subject(Event.EVALUATION_COMPLETED, "e1")
    await Publisher(connection, "autoisp/testing").publish(subject, b"\xff", "poison")
    await connection.close()


def test_a_stack_at_a_glance_and_what_it_could_not_handle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*words: object) -> str:
        done = autoisp(*words, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    with OtlpCollector() as collector:
        for name, value in collector.environment.items():
            monkeypatch.setitem(ENVIRONMENT, name, value)
            monkeypatch.setitem(os.environ, name, value)
        with LocalStack(tmp_path / ".autoisp", 1):
            status = json.loads(run("status", "--json"))
            assert {service["health"] for service in status["services"]} == {"serving"}
            assert {p["service"] for p in status["processes"]} >= {
                "ingest",
                "search",
                "evaluation",
                "registry",
            }
            assert set(status["queue"]) >= {"trial.run", "evaluation.run"}
            assert "127.0.0.1" in run("status", "--server", tmp_path / ".autoisp/endpoints.json")

            asyncio.run(poison(status["broker"]["url"]))
            letters = []
            while not letters:
                letters = json.loads(run("dlq", "list", "--json"))
            assert [letter["reason"] for letter in letters] == ["UNDECODABLE"]
            number = letters[0]["name"].removeprefix("deadLetters/")
            assert "autoisp/testing" in run("dlq", "show", number)
            assert "sent as" in run("dlq", "replay", number)
            assert "dropped" in run("dlq", "drop", number)
            gone = autoisp("dlq", "drop", number, folder=tmp_path)
            assert (gone.returncode, gone.stdout) == (2, "")
            assert f"there is no deadLetters/{number}" in gone.stderr

        spans = collector.spans
    (replay,) = [span for span in spans if span.name.endswith("/ReplayDeadLetter") and span.kind == "client"]
    (served,) = [span for span in spans if span.name.endswith("/ReplayDeadLetter") and span.kind == "server"]
    assert (served.service, served.parent) == ("autoisp-registry", replay.span)
    assert replay.service == "autoisp-cli"
    assert {span.span: span.name for span in spans}[replay.parent] == "autoisp dlq"
