"""``autoisp status`` and ``autoisp dlq``, with a stand-in for the services."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from autoisp.operations.v1 import operations_pb2 as wire
from autoisp.search.v1 import search_pb2
from autoisp_cli.__main__ import main
from autoisp_cli.commands import dlq, status
from autoisp_client import Endpoints
from autoisp_core.errors import NotFoundError, UnavailableError, UnimplementedError


class Services:
    """A client of services of which some may be away."""

    def __init__(self) -> None:
        self.endpoints = Endpoints("h:1", "h:2", "h:3", "h:4", "h:5")
        self.away: set[str] = set()
        self.old: set[str] = set()
        self.broker: wire.Broker | None = wire.Broker(
            url="nats://h:4222",
            streams=[wire.Stream(name="AUTOISP_EVT", messages=7, size_bytes=2_000_000)],
            consumers=[
                wire.Consumer(durable="search-results", stream="AUTOISP_EVT", waiting=3, redelivered=1),
                wire.Consumer(durable="worker-trials", stream="AUTOISP_CMD", waiting=40, in_work=1),
            ],
            commands=[wire.CommandCount(kind="trial.run", messages=41)],
            dead_letters=2,
        )
        self.searches = [
            search_pb2.Search(
                name="searches/s",
                state=search_pb2.SEARCH_STATE_RUNNING,
                trial_counts=search_pb2.TrialCounts(planned=16, succeeded=4, running=1, pruned=30),
            ),
            search_pb2.Search(name="searches/old", state=search_pb2.SEARCH_STATE_SUCCEEDED),
        ]
        self.letters = {
            f"deadLetters/{number}": wire.DeadLetter(
                name=f"deadLetters/{number}",
                subject=f"autoisp.v1.evt.trial.completed.s-{number}",
                kind="trial.completed",
                resource_id=f"s-{number}",
                consumer="search-results",
                reason=reason,
                error="can't be [bold]read[/bold]",
                payload=b"\x01" * 300,
            )
            for number, reason in ((4, "UNDECODABLE"), (9, "DELIVERIES_EXHAUSTED"))
        }

    def is_serving(self, service: str) -> bool:
        if service in self.away:
            raise UnavailableError(f"no answer from {service}")
        return self.broker is not None

    def get_status(self, service: str) -> wire.ServiceStatus:
        if service in self.old:
            raise UnimplementedError("unknown service")
        nats = wire.Dependency(name="nats", ok=self.broker is not None, error="" if self.broker else "gone")
        worker = wire.Process(service="worker", instance="w-1", cpu_seconds=3, memory_bytes=500_000_000)
        worker.work.add(kind="trial.run", resource_id="s-r0-0001")
        return wire.ServiceStatus(
            service=service,
            dependencies=[nats, wire.Dependency(name="database", ok=True)],
            outbox=wire.Outbox(messages=5, oldest_age_seconds=61),
            broker=self.broker,
            processes=[wire.Process(service=service), worker] if self.broker else [],
        )

    def list_searches(self, *, page_size: int) -> Iterator[search_pb2.Search]:
        if "search" in self.away:
            raise UnavailableError("no answer from search")
        return iter(self.searches)

    def list_dead_letters(self, *, consumer: str) -> Iterator[wire.DeadLetter]:
        return iter([each for each in self.letters.values() if consumer in ("", each.consumer)])

    def get_dead_letter(self, name: str) -> wire.DeadLetter:
        if name not in self.letters:
            raise NotFoundError(f"there is no {name}")
        return self.letters[name]

    def replay_dead_letter(self, name: str) -> wire.DeadLetter:
        letter = self.get_dead_letter(name)
        letter.replay.event_id, letter.replay.actor = f"new-{name[-1]}", "ann"
        return letter

    def drop_dead_letter(self, name: str) -> None:
        self.get_dead_letter(name)
        del self.letters[name]


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Services:
    stand_in = Services()

    @contextmanager
    def client(*where: object) -> Iterator[Any]:
        yield stand_in

    monkeypatch.setattr(status, "_running", client)
    monkeypatch.setattr(dlq, "client_for", client)
    return stand_in


def output(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(words) == code
    return capsys.readouterr().out


def test_everything_at_a_glance(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [" ".join(line.split()) for line in output(capsys, "status").splitlines()]
    assert "search serving ok 5 for 1 min 01 s" in " | ".join(lines)
    assert any(line.startswith("NATS nats://h:4222 2.0 MB in streams 2 dead letters") for line in lines)
    assert any(line.startswith("w-1 trial.run s-r0-0001") and "500 MB" in line for line in lines)
    assert any(line.endswith("search-results 3 0 1") for line in lines)  # beside the commands
    assert any(line.startswith("trial.run 40 1") for line in lines)
    assert any(line.startswith("s running") and line.endswith("4 of 16, 1 running") for line in lines)
    assert not any("old" in line for line in lines)


def test_a_narrow_terminal_gets_what_fits(
    services: Services, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "is_narrow", lambda: True)
    text = output(capsys, "status")
    assert "ADDRESS" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80


def test_json_has_all_of_it(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(output(capsys, "status", "--json"))
    assert found["well"] is True
    assert [service["name"] for service in found["services"]] == [
        "ingest",
        "search",
        "evaluation",
        "registry",
        "live",
    ]
    assert found["services"][0]["status"]["outbox"] == {"messages": "5", "oldest_age_seconds": 61.0}
    assert found["queue"]["trial.run"] == {"waiting": 40, "in_work": 1}
    assert found["queue"]["evaluation.run"] == {"waiting": 0, "in_work": 0}
    assert (found["dead_letters"], [search["name"] for search in found["searches"]]) == (2, ["searches/s"])


def test_a_part_that_is_away_is_named_and_fails_the_command(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    services.away, services.old = {"search"}, {"live"}
    text = output(capsys, "status", code=1)
    assert "search: no answer from search" in text
    assert "searches: no answer from search" in text
    assert "live: an earlier release, which has no status" in text
    assert "trial.run" in text  # the others tell of the queue


def test_without_the_broker_it_is_said_once(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    services.broker = None
    text = output(capsys, "status", code=1)
    assert "ingest, search, evaluation, registry, live: nats: gone" in text
    assert "NATS can't be reached by any service" in text
    found = json.loads(output(capsys, "status", "--json", code=1))
    assert (found["well"], found["broker"], found["dead_letters"]) == (False, None, None)


def test_watching_goes_on_until_ctrl_c(
    services: Services, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) % 2 == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(status.time, "sleep", sleep)
    lines = output(capsys, "status", "--watch", "--json").splitlines()
    assert [json.loads(line)["well"] for line in lines] == [True, True]
    assert "worker" in output(capsys, "status", "--watch").lower()
    assert slept == [2.0] * 4


def test_nothing_is_started_to_be_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--state", str(tmp_path / "none")]) == 2
    error = capsys.readouterr().err
    assert "nothing runs in --state" in error
    assert "autoisp up" in error
    assert not (tmp_path / "none").exists()


def test_dead_letters_are_listed_and_shown(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    assert "UNDECODABLE" in output(capsys, "dlq", "list")
    assert "UNDECODABLE" not in output(capsys, "dlq", "list", "--reason", "DELIVERIES_EXHAUSTED")
    assert json.loads(output(capsys, "dlq", "list", "--json", "--consumer", "other")) == []
    text = output(capsys, "dlq", "show", "4")
    assert "can't be [bold]read[/bold]" in text
    assert "of 300 bytes; --json has all" in text
    assert "never" in text
    assert json.loads(output(capsys, "dlq", "show", "deadLetters/4", "--json"))["reason"] == "UNDECODABLE"


def test_replaying_and_dropping(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    assert "sent as new-4" in output(capsys, "dlq", "replay", "4")
    many = json.loads(output(capsys, "dlq", "replay", "--all", "--json"))
    assert [letter["replay"]["event_id"] for letter in many] == ["new-4", "new-9"]
    assert "ann as new-4" in output(capsys, "dlq", "show", "4")
    assert output(capsys, "dlq", "drop", "--all", "--reason", "UNDECODABLE").split() == ["4", "dropped"]
    assert list(services.letters) == ["deadLetters/9"]
    assert output(capsys, "dlq", "drop", "--all", "--reason", "NONE") == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["replay"], "give the numbers of dead letters, or --all"),
        (["drop"], "give the numbers of dead letters, or --all"),
        (["drop", "4", "--all"], "numbers or --all, not both"),
        (["replay", "4", "--reason", "X"], "choose among --all"),
        (["replay", "four"], "'four' is no number of a dead letter"),
        (["show", "٤"], "is no number of a dead letter"),
        (["show", "5"], "there is no deadLetters/5"),
        (["list", "--limit", "0"], "--limit"),
    ],
)
def test_bad_input_is_named(
    services: Services, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["dlq", *words]) == 2
    assert said in capsys.readouterr().err
    assert len(services.letters) == 2
