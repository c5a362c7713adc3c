"""Processes that die: a worker, the brokers' leader, all brokers, the database."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import nats
from autoisp_runtime.jetstream.topology import COMMAND_STREAM

from faulty.faults.fault import Fault
from faulty.system import SERVICES, System
from faulty.tuning import Tuning


def _nothing(_system: System, _tuning: Tuning, _seconds: float) -> None:
    """The run that the others are compared with."""


def _worker(system: System, tuning: Tuning, _seconds: float) -> None:
    os.kill(system.pid(tuning.in_mid_trial()), signal.SIGKILL)


def _services(system: System, _tuning: Tuning, seconds: float) -> None:
    for name in SERVICES:
        os.kill(system.pid(name), signal.SIGKILL)
        time.sleep(seconds / len(SERVICES))


def _leader(system: System, _tuning: Tuning, _seconds: float) -> None:
    system.brokers.kill(asyncio.run(leader(system)))


def _brokers(system: System, _tuning: Tuning, seconds: float) -> None:
    system.hold(*system.brokers.names)
    system.brokers.kill()
    time.sleep(seconds)
    system.release(*system.brokers.names)


def _database(system: System, _tuning: Tuning, seconds: float) -> None:
    system.hold("postgres")
    system.postgres.kill()
    time.sleep(seconds)
    system.postgres.start()
    system.release("postgres")


async def leader(system: System) -> str:
    """The broker that leads the queue of commands."""
    connection = await nats.connect(system.brokers.url().split(","))
    cluster = (await connection.jetstream().stream_info(COMMAND_STREAM)).cluster
    await connection.close()
    assert cluster is not None
    assert cluster.leader is not None
    return str(cluster.leader)


FAULTS = (
    Fault("none", "nothing breaks", _nothing),
    Fault("worker", "kill -9 of a worker in mid-trial", _worker, trains=True),
    Fault("services", "kill -9 of every service, one after the other", _services, seconds=8, quick_seconds=2),
    Fault("nats-leader", "kill -9 of the broker that leads the queue", _leader),
    Fault("nats-all", "all three brokers away", _brokers, seconds=60, quick_seconds=5),
    Fault("postgres", "PostgreSQL killed and started again", _database, seconds=10, quick_seconds=1),
)
