"""``autoisp status`` and ``autoisp dlq`` with everything that a machine runs, and their spans."""

import asyncio
import json
from pathlib import Path

import pytest
from autoisp_cli.__main__ import main
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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / ".autoisp"

    def run(*words: str) -> str:
        """In this process, which has loaded everything already."""
        capsys.readouterr()  # what was logged meanwhile
        assert main([*words, "--state", str(state)]) == 0
        return capsys.readouterr().out

    with OtlpCollector() as collector:
        for name, value in collector.environment.items():
            monkeypatch.setitem(ENVIRONMENT, name, value)
            monkeypatch.setenv(name, value)
        with LocalStack(state, 1):
            for name in collector.environment:  # this process makes no spans
                monkeypatch.delenv(name)
            status = json.loads(run("status", "--json"))
            assert (status["well"], status["problems"]) == (True, [])
            assert {service["health"] for service in status["services"]} == {"serving"}
            assert {p["service"] for p in status["processes"]} >= {
                "ingest",
                "search",
                "evaluation",
                "registry",
            }
            assert set(status["queue"]) >= {"trial.run", "evaluation.run"}

            asyncio.run(poison(status["broker"]["url"]))
            letters = []
            while not letters:
                letters = json.loads(run("dlq", "list", "--json"))
            assert [letter["reason"] for letter in letters] == ["UNDECODABLE"]
            number = letters[0]["name"].removeprefix("deadLetters/")
            assert "autoisp/testing" in run("dlq", "show", number)
            replayed = autoisp("dlq", "replay", number, folder=tmp_path)
            assert (replayed.returncode, "sent as" in replayed.stdout) == (0, True), replayed.stderr
            assert "autoisp dlq list" in run("status")
            assert "dropped" in run("dlq", "drop", number, "--yes")
            gone = autoisp("dlq", "drop", number, "--yes", folder=tmp_path)
            assert (gone.returncode, gone.stdout) == (2, "")
            assert f"there is no deadLetters/{number}" in gone.stderr

        spans = collector.spans
    (replay,) = [span for span in spans if span.name.endswith("/ReplayDeadLetter") and span.kind == "client"]
    (served,) = [span for span in spans if span.name.endswith("/ReplayDeadLetter") and span.kind == "server"]
    assert (served.service, served.parent) == ("autoisp-registry", replay.span)
    assert replay.service == "autoisp-cli"
    assert {span.span: span.name for span in spans}[replay.parent] == "autoisp dlq"
