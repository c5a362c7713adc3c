"""A stand-in for the client of services of which some may be away."""

from __future__ import annotations

from collections.abc import Iterator

from autoisp.operations.v1 import operations_pb2 as wire
from autoisp.search.v1 import search_pb2
from autoisp_client import Endpoints
from autoisp_core.errors import (
    DeadlineExceededError,
    FailedPreconditionError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
)


class Services:
    """A client of services of which some may be away.

    Attributes:
        away, late, old, refusing, stopping: services that don't answer, answer too late, are of an earlier
            release, ask for a token, or are on their way down.
        broken: services without their database, with what they say of it.
        cut_off: services that don't reach NATS; ``broker`` None: nobody does.
        silence: NATS is connected and does not answer; what is said of it.
    """

    def __init__(self) -> None:
        self.endpoints = Endpoints("h:1", "h:2", "h:3", "h:4", "h:5")
        self.away: set[str] = set()
        self.late: set[str] = set()
        self.old: set[str] = set()
        self.refusing: set[str] = set()
        self.stopping: set[str] = set()
        self.broken: dict[str, str] = {}
        self.cut_off: set[str] = set()
        self.silence = ""
        self.outbox = wire.Outbox(messages=5, oldest_age_seconds=9)
        self.workers = [
            wire.Process(
                service="worker",
                instance="w-1",
                version="1.0",
                cpu_seconds=3,
                memory_bytes=500_000_000,
                work=[wire.Work(kind="trial.run", resource_id="s-r0-0001")],
            )
        ]
        self.searches_asked = 0
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
                deliveries=1 if number == 4 else 5,
                payload=b"\x01" * 300,
            )
            for number, reason in ((4, "UNDECODABLE"), (9, "DELIVERIES_EXHAUSTED"))
        }

    def is_serving(self, service: str) -> bool:
        if service in self.away:
            raise UnavailableError(f"no answer from {service}; check it", reason="SERVER_UNREACHABLE")
        if service in self.late:
            raise DeadlineExceededError("Deadline Exceeded")
        with_nats = self.broker is not None or bool(self.silence)
        return with_nats and service not in (self.stopping | set(self.broken))

    def get_status(self, service: str) -> wire.ServiceStatus:
        if service in self.old:
            raise UnimplementedError("unknown service")
        if service in self.refusing:
            raise UnauthenticatedError("a token is needed; give one with --token-file")
        away = (self.broker is None and not self.silence) or service in self.cut_off
        nats = wire.Dependency(name="nats", ok=not away, error="NATS is away" if away else "")
        broken = self.broken.get(service, "")
        status = wire.ServiceStatus(
            service=service,
            dependencies=[nats, wire.Dependency(name="database", ok=not broken, error=broken)],
            outbox=self.outbox,
            broker_error=self.silence,
        )
        if self.broker is not None and not away:
            status.broker.CopyFrom(self.broker)
            status.processes.extend([wire.Process(service=service, version="1.0"), *self.workers])
        return status

    def list_searches(self, *, page_size: int) -> Iterator[search_pb2.Search]:
        self.searches_asked += 1
        return iter(self.searches)

    def list_dead_letters(self, *, consumer: str) -> Iterator[wire.DeadLetter]:
        return iter([each for each in self.letters.values() if consumer in ("", each.consumer)])

    def get_dead_letter(self, name: str) -> wire.DeadLetter:
        if name not in self.letters:
            raise NotFoundError(name, f"there is no {name}")
        return self.letters[name]

    def replay_dead_letter(self, name: str) -> wire.DeadLetter:
        letter = self.get_dead_letter(name)
        if letter.kind == "unknown.kind":
            raise FailedPreconditionError("no subject of this release; drop it")
        letter.replay.event_id, letter.replay.actor = f"new-{name[-1]}", "ann"
        letter.replay.create_time.GetCurrentTime()
        return letter

    def drop_dead_letter(self, name: str) -> None:
        self.get_dead_letter(name)
        del self.letters[name]
