"""From start to graceful stop: what ``python -m autoisp_<service>`` runs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NoReturn

import structlog
from autoisp_core.errors import AutoISPError, InvalidArgumentError

from autoisp_runtime.config import CONFIG_EXIT_CODE, C, exit_message, load_config, variable
from autoisp_runtime.instance import release
from autoisp_runtime.logging import configure_logging
from autoisp_runtime.operations.offering import offer
from autoisp_runtime.runtime import Runtime, Tables
from autoisp_runtime.security import refuse_open_listen
from autoisp_runtime.telemetry.setup import start_tracing

Build = Callable[["Runtime[C]"], Awaitable[None]]

_log = structlog.get_logger(__name__)

_FLUSH_S = 2.0
_PARENT_POLL_S = 0.5
_INSECURE = "--insecure"


def run_service(config_type: type[C], build: Build[C], *, tables: Tables | None = None) -> NoReturn:
    """Run a service until SIGTERM or SIGINT (exit code 0), a broken configuration (2), or a crash (1).

    Args:
        config_type: the service's configuration class.
        build: wires use cases to ``runtime.serve``, ``runtime.consume`` and ``runtime.spawn``.
        tables: the service's part of the database, if it has one.
    """
    overrides = {"insecure": True} if _INSECURE in sys.argv[1:] else {}
    config = load_config(config_type, **overrides)
    configure_logging(config.service, config.log_format, config.log_level)
    stop_tracing = start_tracing(config.service, config.instance, release())
    code = asyncio.run(_run(config, build, tables))
    stop_tracing()
    sys.exit(code)


async def _run(config: C, build: Build[C], tables: Tables | None) -> int:
    stop = _stop_signal()
    watchers = [asyncio.create_task(_exit_with_parent(stop))] if config.exit_with_parent else []
    try:
        refuse_open_listen(config, config.listen)
        runtime = await _unless(stop, Runtime.open(config, tables))
        if runtime is None:
            return 0
        try:
            await build(runtime)
            offer(runtime)
            return await _serve(runtime, stop)
        finally:
            await runtime.close()
    except InvalidArgumentError as error:
        exit_message(variable(error.field), str(error))
        return CONFIG_EXIT_CODE
    except Exception as error:
        _log.critical("could not start", error=str(error), exc_info=not isinstance(error, AutoISPError))
        return 1
    finally:
        for watcher in watchers:
            watcher.cancel()


async def _serve(runtime: Runtime[C], stop: asyncio.Event) -> int:
    config = runtime.config
    checks = runtime.checks
    port = await runtime.server.start()
    await runtime.server.check_dependencies(checks)
    endless: list[asyncio.Task[Any]] = [
        asyncio.create_task(runtime.server.watch_dependencies(checks), name="health"),
        asyncio.create_task(runtime.nats.closed.wait(), name="NATS connection"),
        *(asyncio.create_task(consumer.run(), name=consumer.name) for consumer in runtime.consumers),
    ]
    if runtime.has_outbox:
        endless.append(asyncio.create_task(runtime.outbox.relay(runtime.publisher), name="outbox relay"))
    finite = [asyncio.create_task(work, name=name) for name, work in runtime.tasks]
    _log.info("ready", listen=config.listen, port=port)
    if config.port_file is not None:
        _write_port(config.port_file, port)

    crashed = await _first_crash(endless, finite, stop)
    if crashed:
        reason = None if crashed.cancelled() else crashed.exception()
        _log.critical(f"{crashed.get_name()} ended", exc_info=reason)
    _log.info("stopping")
    await _stop(runtime, config.stop_grace_seconds)
    await _cancelled({*endless, *finite})
    _log.info("stopped")
    return 1 if crashed else 0


async def _cancelled(tasks: set[asyncio.Task[Any]]) -> None:
    """Waits for their end. Asks more than once: a call that is just ending can swallow a cancellation."""
    while tasks:
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=1.0)


async def _first_crash(
    endless: list[asyncio.Task[Any]], finite: list[asyncio.Task[Any]], stop: asyncio.Event
) -> asyncio.Task[Any] | None:
    """The task whose end means that the service can't go on; None when asked to stop."""
    stopping = asyncio.create_task(stop.wait())
    waiting: set[asyncio.Task[Any]] = {*endless, *finite, stopping}
    while True:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            return None
        for task in done:
            if task in endless or task.cancelled() or task.exception() is not None:
                stopping.cancel()
                return task


async def _stop(runtime: Runtime[C], grace_s: float) -> None:
    """No new work first, then the end of running work, then the last events out."""
    for end_streams in runtime.stopping_callbacks:
        end_streams()
    await asyncio.gather(
        runtime.server.stop(grace_s), *(consumer.stop(grace_s) for consumer in runtime.consumers)
    )
    if runtime.has_outbox:
        try:
            async with asyncio.timeout(_FLUSH_S):
                await runtime.outbox.publish_pending(runtime.publisher)
        except (TimeoutError, AutoISPError) as error:
            _log.info("events stay in the outbox until the next start", error=str(error))


def _stop_signal() -> asyncio.Event:
    """Set by SIGTERM or SIGINT; the same one again ends the process at once."""
    stop = asyncio.Event()
    seen: set[int] = set()

    def on_signal(number: int) -> None:
        # Ctrl-C reaches a whole process group, then a parent passes SIGTERM on: one wish, not two.
        if number in seen:
            os._exit(128 + number)
        seen.add(number)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stop


async def _unless(stop: asyncio.Event, opening: Awaitable[Runtime[C]]) -> Runtime[C] | None:
    task = asyncio.ensure_future(opening)
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if task.done():
        return task.result()
    await _cancelled({task})
    if not task.cancelled() and task.exception() is None:
        await task.result().close()  # it was just opened
    return None


async def _exit_with_parent(stop: asyncio.Event) -> None:
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - the kernel tells nobody
        await asyncio.sleep(_PARENT_POLL_S)
    _log.warning("the parent process is gone")
    stop.set()


def _write_port(path: Path, port: int) -> None:
    """All at once: whoever waits for the file never reads half a number."""
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_text(f"{port}\n")
    part.replace(path)
