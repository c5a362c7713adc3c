"""``autoisp status``, with a stand-in for the services."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from autoisp.operations.v1 import operations_pb2 as wire
from autoisp.search.v1 import search_pb2
from autoisp_cli.__main__ import main
from autoisp_cli.commands import status
from autoisp_cli.local.folder import FolderLock, StateFolder
from operations_fakes import Services

LOGS = Path("state/logs")
Change = Callable[[Services], object]


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Services:
    """What is asked for with ``--server``, or runs here with its logs in ``LOGS``."""
    stand_in = Services()

    @contextmanager
    def running(server: str | None, state: Path) -> Iterator[Any]:
        yield stand_in, None if server else LOGS

    monkeypatch.setattr(status, "_running", running)
    return stand_in


def output(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(["status", *words]) == code
    return capsys.readouterr().out


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def quiet(services: Services) -> None:
    """Nothing to look at."""
    assert services.broker is not None
    services.broker.dead_letters = 0


def test_everything_at_a_glance(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    found = lines(output(capsys))
    assert found[0].startswith("! all parts can work, 1 thing to look at 5 of 5 services · 1 worker, 1 busy")
    assert found[1:3] == ["! 2 messages that nobody could handle", "→ autoisp dlq list: why, and what next"]
    assert any(line.startswith("search serving ok 5 for 9 s") for line in found)
    assert any(line.startswith("NATS nats://h:4222 2.0 MB in streams 2 dead letters") for line in found)
    assert any(line.startswith("w-1 trial.run s-r0-0001") and "500 MB" in line for line in found)
    assert any(line.endswith("search-results 3 0 1") for line in found)  # beside the commands
    assert any(line.startswith("trial.run 40 1") for line in found)
    assert any(line.startswith("s running") and line.endswith("4 of 16, 1 running") for line in found)
    assert not any("old" in line for line in found)


def test_with_nothing_wrong_one_line_says_so(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    quiet(services)
    found = lines(output(capsys))
    assert found[0].startswith("✓ all parts can work 5 of 5 services · 1 worker, 1 busy · ")
    assert re.search(r" \d\d:\d\d:\d\d UTC$", found[0])
    assert found[1] == ""
    assert "→" not in "".join(found)


def test_a_bar_shows_without_colours(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    services.searches[0].trial_counts.failed = 2
    text = output(capsys)
    assert "━" * 9 + "╌" * 15 in text  # 6 of 16
    assert "6 of 16, 1 running, 2 failed" in text


def test_a_narrow_terminal_gets_what_fits(
    services: Services, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "is_narrow", lambda: True)
    text = output(capsys)
    assert "ADDRESS" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80


def test_json_has_all_of_it(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(output(capsys, "--json"))
    assert (found["well"], found["problems"]) == (True, [])
    assert found["warnings"] == [
        {"what": "2 messages that nobody could handle", "todo": "autoisp dlq list: why, and what next"}
    ]
    assert [service["name"] for service in found["services"]] == [
        "ingest",
        "search",
        "evaluation",
        "registry",
        "live",
    ]
    assert found["services"][0]["status"]["outbox"] == {"messages": "5", "oldest_age_seconds": 9.0}
    assert found["queue"]["trial.run"] == {"waiting": 40, "in_work": 1}
    assert found["queue"]["evaluation.run"] == {"waiting": 0, "in_work": 0}
    assert (found["dead_letters"], [search["name"] for search in found["searches"]]) == (2, ["searches/s"])


def _everybody_away(services: Services) -> None:
    services.away = {"ingest", "search", "evaluation", "registry", "live"}


def _two_releases(services: Services) -> None:
    services.workers.append(wire.Process(service="worker", instance="w-2", version="0.9"))


def _nobody_works(services: Services) -> None:
    services.workers = []


def _held(services: Services) -> None:
    assert services.broker is not None
    services.broker.consumers[1].in_work = 3


@pytest.mark.parametrize(
    ("change", "what", "here", "elsewhere"),
    [
        (
            lambda s: s.away.add("search"),
            "no answer from search at h:2",
            "see state/logs/search.log",
            "check the address",
        ),
        (
            lambda s: s.late.update(("search", "live")),
            "no answer from search and live",
            "state/logs",
            "check",
        ),
        (_everybody_away, "no service answers at h:1, h:2, h:3, h:4, h:5", "autoisp up", "check the address"),
        (lambda s: s.refusing.add("search"), "search: a token is needed", "--token-file", "--token-file"),
        (lambda s: s.stopping.add("search"), "search: not serving, though", "state/logs", "see its log"),
        (lambda s: s.cut_off.add("live"), "live: NATS is away, though others", "network", "network"),
        (lambda s: setattr(s, "broker", None), "NATS is away", "nats-server.log", "more than half"),
        (
            lambda s: s.__dict__.update(broker=None, silence="JetStream is late"),
            "JetStream is late",
            "nats-server.log",
            "more than half",
        ),
        (
            lambda s: s.broken.update(ingest="full", search="full"),
            "ingest and search: database: full",
            "bring it back",
            "bring it back",
        ),
    ],
)
def test_what_is_wrong_is_said_once_and_first_with_what_to_do(
    services: Services,
    capsys: pytest.CaptureFixture[str],
    change: Change,
    what: str,
    here: str,
    elsewhere: str,
) -> None:
    quiet(services)
    change(services)
    for words, todo in (((), here), (("--server", "h:1"), elsewhere)):
        text = output(capsys, *words, code=1)
        found = lines(text)
        assert found[0].startswith("✗ 1 problem ")
        assert found[1].startswith(f"✗ {what}")
        assert found[2].startswith("→ ")
        assert todo in found[2]
        assert text.count(what) == 1
    found = json.loads(output(capsys, "--json", code=1))
    (problem,) = found["problems"]
    assert (found["well"], problem["what"].startswith(what), here in problem["todo"]) == (False, True, True)


@pytest.mark.parametrize(
    ("change", "what", "todo"),
    [
        (lambda s: s.old.add("live"), "live: of a release that has no status", "upgrade"),
        (_two_releases, "2 releases run side by side: 0.9, 1.0", "fine during an upgrade; w-2 of 0.9"),
        (_nobody_works, "41 commands wait, and no worker answers", "worker"),
        (_held, "2 commands are held for a worker that is gone", "others get them after the ack wait"),
        (
            lambda s: setattr(s.outbox, "oldest_age_seconds", 61),
            "ingest: 5 events have waited 1 min 01 s to be sent",
            "once NATS takes them",
        ),
    ],
)
def test_what_somebody_should_look_at_fails_nothing(
    services: Services, capsys: pytest.CaptureFixture[str], change: Change, what: str, todo: str
) -> None:
    quiet(services)
    change(services)
    found = lines(output(capsys))
    assert found[0].startswith("! all parts can work")
    assert found[1].startswith(f"! {what}")
    assert todo in found[2]


def test_a_problem_goes_before_what_can_wait(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    services.away = {"search"}
    found = lines(output(capsys, code=1))
    assert found[0].startswith("✗ 1 problem, 1 thing to look at")
    assert (found[1][0], found[3][0]) == ("✗", "!")
    assert any(line.startswith("trial.run 40 1") for line in found)  # the others tell of the queue


def test_nobody_asks_a_search_service_that_can_not_tell(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    services.broken = {"search": "it hangs"}
    assert json.loads(output(capsys, "--json", code=1))["searches"] is None
    assert services.searches_asked == 0
    assert "no search runs" not in output(capsys, code=1)


def test_of_a_thousand_workers_and_searches_those_are_shown_that_matter(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    services.workers = [wire.Process(service="worker", instance=f"w-{number}") for number in range(1000)]
    for number in (7, 800):
        work = services.workers[number].work.add(kind="trial.run", resource_id=f"t-{number}")
        work.start_time.FromSeconds(10_000 - number)
    services.searches = [
        search_pb2.Search(name=f"searches/s{number}", state=search_pb2.SEARCH_STATE_RUNNING)
        for number in range(25)
    ]
    found = lines(output(capsys))
    assert "1000 workers, 2 busy" in found[0]
    (place,) = [place for place, line in enumerate(found) if line.startswith("WORKER ")]
    assert found[place + 1].startswith("w-800 trial.run t-800")
    assert found[place + 2].startswith("w-7 trial.run t-7")
    assert found[place + 21] == "and 980 more; --json has all"
    assert "and 5 more: autoisp searches list" in found
    assert len(json.loads(output(capsys, "--json"))["processes"]) == 1001


def test_watching_goes_on_until_ctrl_c(
    services: Services, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        services.workers[0].cpu_seconds += 1e6
        if len(slept) % 2 == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(status.time, "sleep", sleep)
    told = output(capsys, "--watch", "--json").splitlines()
    assert [json.loads(line)["well"] for line in told] == [True, True]
    text = output(capsys, "--watch")
    assert slept == [2.0] * 4
    (row,) = [line for line in text.splitlines() if line.startswith("w-1")][-1:]
    (use,) = re.findall(r"(\d+) %", row)
    assert int(use) > 1e6  # since the look before, not since 1970
    assert "MEAN CPU" not in text


def test_nothing_is_started_to_be_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--state", str(tmp_path / "none")]) == 2
    error = capsys.readouterr().err
    assert "nothing runs in --state" in error
    assert "autoisp up" in error
    assert not (tmp_path / "none").exists()


def test_what_just_starts_is_no_wrong_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FolderLock(StateFolder(tmp_path)):
        assert main(["status", "--state", str(tmp_path)]) == 2
    assert "is starting or stopping; try again" in capsys.readouterr().err


def test_authorities_of_other_servers_do_not_keep_the_local_ones_from_being_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOISP_CA", str(tmp_path / "missing.pem"))
    folder = StateFolder(tmp_path)
    with FolderLock(folder):
        folder.endpoints_file.write_text(Services().endpoints.to_json().replace("h:", "127.0.0.1:"))
        assert main(["status", "--state", str(tmp_path)]) == 1
    assert "no service answers at 127.0.0.1:1" in capsys.readouterr().out
