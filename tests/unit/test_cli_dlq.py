"""``autoisp dlq``, with a stand-in for the services."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from autoisp.operations.v1 import operations_pb2 as wire
from autoisp_cli.__main__ import main
from autoisp_cli.commands import dlq
from operations_fakes import Services
from rich.console import Console


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Services:
    stand_in = Services()

    @contextmanager
    def client(*where: object) -> Iterator[Any]:
        yield stand_in

    monkeypatch.setattr(dlq, "client_for", client)
    return stand_in


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(force_terminal=True, width=80, color_system=None)
    monkeypatch.setattr(dlq, "output_console", lambda: console)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Which questions somebody at the terminal says yes to, one after the other."""
    typed: list[str] = []
    monkeypatch.setattr(dlq.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(dlq.typer, "confirm", lambda text, err: _confirmed(text, typed))
    yield typed
    assert typed == []


def _confirmed(text: str, typed: list[str]) -> bool:
    return typed.pop(0) == text


def output(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(["dlq", *words]) == code
    return capsys.readouterr().out


def add(
    services: Services, number: int, kind: str, area: str = "cmd", reason: str = "GONE"
) -> wire.DeadLetter:
    letter = wire.DeadLetter(
        name=f"deadLetters/{number}",
        subject=f"autoisp.v1.cmd.{kind}.x",
        kind=kind,
        resource_id="x",
        consumer="worker-first",
        reason="GONE",
        error="no reason",
        deliveries=2,
    )
    services.letters[letter.name] = letter
    return letter


def test_a_pipe_gets_one_line_for_each(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    services.letters["deadLetters/4"].create_time.FromJsonString("2026-01-02T03:04:05Z")
    head, first, second = [line.split() for line in output(capsys, "list").splitlines()]
    assert head[:6] == ["NUMBER", "KIND", "OF", "REASON", "DELIVERIES", "CONSUMER"]
    assert first[:6] == ["4", "trial.completed", "s-4", "UNDECODABLE", "1", "search-results"]
    assert first[6:] == ["2026-01-02", "03:04:05", "never"]
    assert second[3:5] == ["DELIVERIES_EXHAUSTED", "5"]


@pytest.mark.usefixtures("terminal")
def test_a_terminal_gets_what_why_how_often_when_and_what_next(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC)
    for number, minutes in ((4, 60), (9, 5)):
        stamp = services.letters[f"deadLetters/{number}"].create_time
        stamp.FromDatetime(now - timedelta(minutes=minutes, seconds=1))
    services.letters["deadLetters/4"].error = "because " * 100
    replay = services.letters["deadLetters/9"].replay
    replay.actor = "ann"
    replay.create_time.FromDatetime(now - timedelta(seconds=30))
    add(services, 12, "evaluation.run").create_time.FromDatetime(now)

    text = output(capsys, "list")

    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert max(map(len, text.splitlines())) <= 80
    assert lines[0] == "4 trial.completed s-4 1 h 00 min ago"
    assert lines[1].startswith("UNDECODABLE, 1 delivery to search-results: because because")
    assert lines[2].endswith("…")
    assert lines[3].startswith("9 trial.completed s-9 5 min 0")
    assert lines[4] == "DELIVERIES_EXHAUSTED, 5 deliveries to search-results: can't be"
    assert lines[5] == "[bold]read[/bold]"
    assert lines[6].startswith("replayed 3")
    assert lines[6].endswith("s ago by ann")
    told = " ".join(lines[8:])
    assert "→ 4: another release sent it" in told
    assert "→ 9: mend what the error names, then replay it" in told
    assert "→ 12: its clip is recorded as failed; start another with 'autoisp evaluations run'" in told
    assert "autoisp dlq show, replay or drop NUMBER" in told


def test_they_are_chosen(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    assert "UNDECODABLE" in output(capsys, "list", "--reason", "undecodable")
    assert "UNDECODABLE" not in output(capsys, "list", "--reason", "DELIVERIES_EXHAUSTED")
    assert json.loads(output(capsys, "list", "--json", "--consumer", "other")) == []
    assert main(["dlq", "list", "--limit", "1"]) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 2
    assert "there are more; --limit 10" in captured.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list"], "no dead letters\n"),
        (["list", "--reason", "X"], "no such dead letters"),
        (["list", "--consumer", "nobody"], "'nobody'; consumers are worker-first, worker-trials"),
        (["replay", "--all"], "no dead letters\n"),
        (["drop", "--all", "--yes", "--consumer", "worker-trials"], "no such dead letters"),
    ],
)
def test_none_is_said(
    services: Services, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    services.letters.clear()
    assert main(["dlq", *words]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err


def test_one_is_shown(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    hour_ago = datetime.now(UTC) - timedelta(minutes=60, seconds=1)
    services.letters["deadLetters/4"].create_time.FromDatetime(hour_ago)
    text = output(capsys, "show", "4")
    assert "can't be [bold]read[/bold]" in text
    assert "300 bytes in base64; the first 256, --json has all" in text
    assert "by an unknown sender" in text
    assert "UTC, 1 h 00 min ago" in text
    assert "never" in text
    assert "another release sent it" in text
    assert json.loads(output(capsys, "show", "deadLetters/4", "--json"))["reason"] == "UNDECODABLE"
    assert "deadLetters/4" in output(capsys, "show", "0004", "--json")


@pytest.mark.parametrize(
    ("kind", "todo"),
    [
        ("prototype.profile", "autoisp tune"),
        ("trial.run", "the search went on"),
        ("evaluation.run", "autoisp evaluations run"),
        ("model_version.convert", "autoisp models convert"),
        ("unknown.kind", "start its work again"),
    ],
)
def test_a_command_is_not_worth_a_replay(
    services: Services, capsys: pytest.CaptureFixture[str], kind: str, todo: str
) -> None:
    add(services, 5, kind)
    text = output(capsys, "show", "5")
    assert todo in text
    assert "drop it" in text


def test_replaying(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    assert "sent as new-4" in output(capsys, "replay", "4", "4")
    add(services, 5, "trial.run")
    assert "it is a command: the failure is told again" in output(capsys, "replay", "5")
    many = json.loads(output(capsys, "replay", "--all", "--json", "--consumer", "search-results"))
    assert [letter["replay"]["event_id"] for letter in many] == ["new-4", "new-9"]
    assert "ann as new-4" in output(capsys, "show", "4")


def test_one_that_can_not_be_replayed_keeps_no_other_waiting(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    add(services, 1, "unknown.kind")
    services.letters = dict(sorted(services.letters.items()))
    assert main(["dlq", "replay", "--all"]) == 2
    captured = capsys.readouterr()
    assert [line.split()[0] for line in captured.out.splitlines()] == ["4", "9"]
    assert "no subject of this release" in captured.err


def test_dropping_asks(services: Services, answers: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    answers += ["no"]
    assert main(["dlq", "drop", "4"]) == 1
    captured = capsys.readouterr()
    assert "4  trial.completed  s-4  UNDECODABLE" in captured.err
    assert (captured.out, len(services.letters)) == ("", 2)

    answers += ["Delete it for good?"]
    assert output(capsys, "drop", "--all", "--reason", "UNDECODABLE").split() == ["4", "dropped"]
    for number in range(100, 125):
        add(services, number, "trial.run")
    answers += ["Delete these 26 for good?"]
    assert main(["dlq", "drop", "--all", "--json"]) == 0
    captured = capsys.readouterr()
    assert "and 6 more" in captured.err
    assert (len(json.loads(captured.out)), services.letters) == (26, {})


def test_without_a_terminal_dropping_must_be_told(
    services: Services, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dlq.sys.stdin, "isatty", lambda: False, raising=False)
    assert main(["dlq", "drop", "4"]) == 2
    assert "give --yes" in capsys.readouterr().err
    assert len(services.letters) == 2
    assert output(capsys, "drop", "4", "4", "--yes").split() == ["4", "dropped"]
    assert list(services.letters) == ["deadLetters/9"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["replay"], "give the numbers of dead letters, or --all"),
        (["drop", "--yes"], "give the numbers of dead letters, or --all"),
        (["drop", "4", "--all", "--yes"], "numbers or --all, not both"),
        (["replay", "4", "--reason", "X"], "choose among --all"),
        (["replay", "four"], "'four' is no number of a dead letter"),
        (["show", "٤"], "is no number of a dead letter"),
        (["show", "9" * 5000], "there is no deadLetters/"),
        (["show", "5"], "there is no deadLetters/5"),
        (["show"], "Missing argument 'NUMBER'"),
        (["replay", "4", "5"], "there is no deadLetters/5"),
        (["drop", "4", "5", "--yes"], "there is no deadLetters/5"),
        (["list", "--limit", "0"], "--limit"),
    ],
)
def test_bad_input_is_named_and_nothing_done(
    services: Services, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["dlq", *words]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""
    assert len(services.letters) == 2
