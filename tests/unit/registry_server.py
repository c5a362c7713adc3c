"""A real gRPC server of the registry's two services, and of ingest, whose answers the test gives."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from autoisp.ingest.v1 import ingest_pb2_grpc
from autoisp.registry.v1 import registry_pb2_grpc, rollouts_pb2_grpc
from autoisp_core.errors import AutoISPError
from autoisp_runtime.grpc_errors import to_status
from grpc_status import rpc_status

STREAMS = ("WatchModels", "DownloadArtifact")


@dataclass
class Call:
    """What arrived."""

    method: str
    request: Any
    metadata: dict[str, str]


@dataclass
class RegistryServer:
    """Answers by method: a message, an error, a list of these for one call each, or a function of requests.

    An answer to a stream is a list of messages for each call, which an error may end.
    """

    answers: dict[str, Any] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    address: str = ""

    def __getattr__(self, method: str) -> Any:
        if not method[0].isupper():
            raise AttributeError(method)
        return lambda request, context: self._answer(method, request, context)

    def requests(self, method: str) -> list[Any]:
        """What this method was asked for."""
        return [call.request for call in self.calls if call.method == method]

    def _answer(self, method: str, request: Any, context: Any) -> Any:
        if not hasattr(request, "DESCRIPTOR"):
            request = list(request)
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        self.calls.append(Call(method, request, metadata))
        answer = self.answers[method]
        if isinstance(answer, list):
            answer = answer.pop(0)
        if callable(answer):
            answer = answer(request)
        if method in STREAMS:
            return self._stream(answer, context)
        return self._one(answer, context)

    def _stream(self, answers: list[Any], context: Any) -> Iterator[Any]:
        for answer in answers:
            yield self._one(answer, context)

    def _one(self, answer: Any, context: Any) -> Any:
        if isinstance(answer, AutoISPError):
            context.abort_with_status(rpc_status.to_status(to_status(answer)))
        return answer


@contextmanager
def serving(**answers: Any) -> Iterator[RegistryServer]:
    """The server, while it runs."""
    server = grpc.server(futures.ThreadPoolExecutor(8))
    registry = RegistryServer(answers)
    servicer: Any = registry
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(servicer, server)
    rollouts_pb2_grpc.add_RolloutServiceServicer_to_server(servicer, server)
    ingest_pb2_grpc.add_IngestServiceServicer_to_server(servicer, server)
    registry.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield registry
    finally:
        server.stop(0).wait()
