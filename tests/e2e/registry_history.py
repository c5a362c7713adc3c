"""Clients that change a registry at random, and the sequential model that its history has to follow."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from autoisp.common.v1 import common_pb2
from autoisp.registry.v1 import registry_pb2, registry_pb2_grpc
from autoisp_client.errors import from_rpc_error
from autoisp_core.errors import AutoISPError, ErrorCode
from autoisp_core.names import id_of

Stub = registry_pb2_grpc.RegistryServiceStub
Register, Version = registry_pb2.RegisterModelVersionRequest, registry_pb2.ModelVersion
Promote, Rollback = registry_pb2.PromoteRequest, registry_pb2.RollbackRequest
SetAlias = registry_pb2.SetAliasRequest

CALL_TIMEOUT_S = 20.0
_AGAIN = {ErrorCode.UNAVAILABLE, ErrorCode.DEADLINE_EXCEEDED}
_REFUSALS = {ErrorCode.ABORTED, ErrorCode.FAILED_PRECONDITION, ErrorCode.NOT_FOUND}


@dataclass
class Act:
    """What a client asked for, and what it heard.

    Attributes:
        began, ended: on the monotonic clock.
        sequence: of the audit entry that a promotion or rollback was answered with; 0: none.
        version: name of the version that a registration was answered with.
        refused: the code and reason that it was refused with.
    """

    kind: str
    model: str
    request_id: str
    began: float
    ended: float = 0.0
    sequence: int = 0
    version: str = ""
    refused: tuple[ErrorCode, str] | None = None


class RandomClient:
    """One client: it waits for an answer, and repeats what it heard nothing of under the same request_id.

    Args:
        address: of the registry now; it changes when the registry is started again.
        networks: files that nobody has registered yet; taken from the end.
    """

    def __init__(
        self,
        number: int,
        address: Callable[[], str],
        models: Sequence[str],
        networks: list[common_pb2.Artifact],
    ) -> None:
        self.acts: list[Act] = []
        self.repeats = 0
        self._number = number
        self._random = random.Random(number)
        self._address = address
        self._models = models
        self._networks = networks

    async def run(self, until: float) -> None:
        """Act until that time of the monotonic clock."""
        while time.monotonic() < until:
            kind = self._random.choices(("register", "promote", "rollback"), (1, 6, 3))[0]
            await self.act(kind, self._random.choice(self._models))

    async def act(self, kind: str, model: str) -> None:
        """Ask for one change until it is answered."""
        act = Act(kind, model, f"c{self._number}-{len(self.acts)}", time.monotonic())
        call = {"register": self._register, "promote": self._promote, "rollback": self._rollback}[kind](act)
        while not act.ended:
            try:
                async with grpc.aio.insecure_channel(self._address()) as channel:
                    await call(Stub(channel))
            except FileNotFoundError:  # it has no address before it has started again
                await asyncio.sleep(0.05)
                continue
            except grpc.aio.AioRpcError as error:
                if not self._final(from_rpc_error(error), act):
                    self.repeats += 1
                    await asyncio.sleep(0.05)
                    continue
            act.ended = time.monotonic()
        self.acts.append(act)

    def _final(self, error: AutoISPError, act: Act) -> bool:
        if error.code in _AGAIN:
            return False
        if error.code not in _REFUSALS:
            raise error
        act.refused = (error.code, error.reason)
        return True

    def _register(self, act: Act) -> Callable[[Any], Awaitable[None]]:
        network = self._networks.pop()

        async def call(stub: Any) -> None:
            wanted = Version(onnx=network)
            request = Register(parent=act.model, model_version=wanted, request_id=act.request_id)
            act.version = (await stub.RegisterModelVersion(request, timeout=CALL_TIMEOUT_S)).name

        return call

    def _promote(self, act: Act) -> Callable[[Any], Awaitable[None]]:
        # Some numbers don't exist (yet).
        request = Promote(
            name=f"{act.model}/versions/{self._random.randint(1, 4)}",
            override=True,
            comment="at random",
            request_id=act.request_id,
        )

        async def call(stub: Any) -> None:
            act.sequence = (await stub.Promote(request, timeout=CALL_TIMEOUT_S)).audit_entry.sequence

        return call

    def _rollback(self, act: Act) -> Callable[[Any], Awaitable[None]]:
        request = Rollback(model=act.model, comment="at random", request_id=act.request_id)

        async def call(stub: Any) -> None:
            act.sequence = (await stub.Rollback(request, timeout=CALL_TIMEOUT_S)).audit_entry.sequence

        return call


@dataclass
class SequentialModel:
    """What a model is after a sequence of changes that come one by one."""

    versions: int = 0
    champions: list[int] = field(default_factory=list)

    @property
    def champion(self) -> int:
        """The version that ``champion`` points at; 0: none."""
        return self.champions[-1] if self.champions else 0

    def apply(self, entry: registry_pb2.AuditEntry) -> None:
        """Follow one entry; an assertion fails where no sequential registry could have made it."""
        details: Mapping[str, str] = entry.details
        where = f"entry {entry.sequence}: {entry.summary}"
        match entry.action:
            case "version.register":
                self.versions += 1
                assert id_of(entry.resource) == str(self.versions), where
            case "version.promote":
                to = int(details["to"])
                assert 1 <= to <= self.versions, where
                assert details["from"] == (str(self.champion) if self.champion else ""), where
                if to != self.champion:
                    self.champions.append(to)
            case "version.rollback":
                assert len(self.champions) >= 2, where
                assert details["from"] == str(self.champion), where
                self.champions.pop()
                assert details["to"] == str(self.champion), where
            case _:
                raise AssertionError(f"nobody asked for {where} ({entry.action})")


def replay(entries: Sequence[registry_pb2.AuditEntry]) -> dict[str, SequentialModel]:
    """The models that the log leads to."""
    models: dict[str, SequentialModel] = {}
    for position, entry in enumerate(entries, 1):
        assert entry.sequence == position
        if not entry.refused:
            name = "/".join(entry.resource.split("/")[:2])
            models.setdefault(name, SequentialModel()).apply(entry)
    return models


def check_acts(acts: Sequence[Act], entries: Sequence[registry_pb2.AuditEntry]) -> None:
    """What was acknowledged is in the log once, in an order that the clients' clocks agree with."""
    by_request: dict[str, registry_pb2.AuditEntry] = {}
    for entry in entries:
        if not entry.refused:
            assert entry.request_id not in by_request, f"{entry.request_id} was done twice"
            by_request[entry.request_id] = entry
    done = []
    for act in acts:
        made = by_request.get(act.request_id)
        if act.refused is not None:
            assert made is None, f"{act} was refused and done"
            continue
        assert made is not None, f"{act} was acknowledged and is lost"
        if act.kind == "register":
            assert made.resource == act.version, act
        else:
            assert made.sequence == act.sequence, act
        done.append((act, made.sequence))
    # Real time: what ended before something else began comes before it.
    latest_begin = -1.0
    for act, _ in sorted(done, key=lambda pair: pair[1]):
        assert act.ended >= latest_begin, f"{act} comes after what began only later"
        latest_begin = max(latest_begin, act.began)
