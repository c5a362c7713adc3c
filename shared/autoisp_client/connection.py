"""Blocking calls to one service: errors mapped, lost connections retried."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, TypeVar

import grpc
from autoisp_core.errors import AutoISPError

from autoisp_client.access import PLAIN, Access
from autoisp_client.acting import Metadata
from autoisp_client.faults import Backoff, cut_short, explain

R = TypeVar("R")


class Connection:
    """A channel to one service.

    Args:
        service: its name, for messages.
        address: ``HOST:PORT``.
        patience: seconds that a call which may be repeated keeps trying while nobody answers.
        metadata: of every call but uploads.
        access: TLS and the token of every call.
    """

    def __init__(
        self, service: str, address: str, patience: float, metadata: Metadata = (), access: Access = PLAIN
    ) -> None:
        self.service, self.address, self.patience, self.metadata = service, address, patience, metadata
        self.channel = access.channel(address)

    def unary(
        self, call: Callable[..., R], request: Any, *, repeat: bool = True, deadline: float = 60.0
    ) -> R:
        """Calls with a deadline of ``deadline`` seconds an attempt."""
        return self.attempt(lambda: call(request, timeout=deadline, metadata=self.metadata), repeat=repeat)

    def attempt(
        self,
        action: Callable[[], R],
        *,
        repeat: bool = True,
        pause: Callable[[AutoISPError], float] | None = None,
    ) -> R:
        """Runs ``action``; again while nobody answers, if ``repeat``, or as ``pause`` tells."""
        pause = pause or Backoff(self.patience if repeat else 0.0).pause
        while True:
            try:
                return action()
            except grpc.RpcError as error:
                ours = explain(error, self.service, self.address)
            except AutoISPError as error:
                ours = error
            time.sleep(pause(ours))

    def stream(self, call: Callable[..., Iterable[R]], request: Any) -> Generator[R, None, None]:
        """Opens a server stream and yields its messages; closes it when the caller stops."""
        responses: Any = call(request, metadata=self.metadata)
        try:
            yield from responses
        except grpc.RpcError as error:
            raise explain(error, self.service, self.address) from error
        finally:
            responses.cancel()

    def watch(
        self, call: Callable[..., Iterable[R]], request: Any, is_last: Callable[[R], bool]
    ) -> Iterator[R]:
        """A server stream that begins with a snapshot: opened again when it breaks, until ``is_last``."""
        backoff = Backoff(self.patience)
        while True:
            try:
                for message in self.stream(call, request):
                    backoff.reset()
                    yield message
                    if is_last(message):
                        return
                pause = backoff.pause(cut_short(self.service, self.address))
            except AutoISPError as error:
                pause = backoff.pause(error)
            time.sleep(pause)

    def pages(
        self, call: Callable[..., Any], request: Any, items: Callable[[Any], Iterable[R]]
    ) -> Iterator[R]:
        """All items of a List method, page by page as they are needed."""
        while True:
            response = self.unary(call, request)
            yield from items(response)
            if not response.next_page_token:
                return
            request.page_token = response.next_page_token

    def close(self) -> None:
        """Ends every call."""
        self.channel.close()
