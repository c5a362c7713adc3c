"""What the run of the containers asks of podman: images, a stack, and the processes in it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
STANDINS = ROOT / "tests" / "deploy" / "standins"
PROJECT = "autoisp"


class Engine:
    """podman, at low priority where it builds.

    Args:
        podman: the program.
        build_options: for ``podman build`` where pip installs: mounts of pip's settings, say.
    """

    def __init__(self, podman: str, build_options: Sequence[str] = ()) -> None:
        self._podman = podman
        self._build_options = list(build_options)

    def __call__(self, *arguments: str, check: bool = True, quiet: bool = True) -> str:
        """Run it; what it wrote to standard output.

        Raises:
            RuntimeError: it failed; the message has the end of what it said.
        """
        return run([self._podman, *arguments], check=check, quiet=quiet)

    def build(
        self, dockerfile: Path, context: Path, target: str, tag: str, *, pip: bool, **arguments: str
    ) -> None:
        """Build an image; the base image must be there already."""
        options = self._build_options if pip else []
        given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        what = [
            "--format=docker",
            "--network=host",
            f"--file={dockerfile}",
            f"--target={target}",
            f"--tag={tag}",
        ]
        command = [self._podman, "build", *what, *given, *options, str(context)]
        run(["nice", "-n", "10", *command])

    def megabytes(self, image: str) -> float:
        """Size of the image on disk, all layers, in 10^6 bytes."""
        return int(self("image", "inspect", "--format", "{{.Size}}", image)) / 1e6

    def running(self, service: str) -> list[str]:
        """Ids of the stack's running containers of a service."""
        labels = [
            f"label=com.docker.compose.project={PROJECT}",
            f"label=com.docker.compose.service={service}",
        ]
        filters = [word for label in labels for word in ("--filter", label)]
        return self("ps", "--quiet", "--filter", "status=running", *filters).split()

    def remove_all(self) -> None:
        """Stop and remove every container of the stack, with the volumes that have no name."""
        label = f"label=com.docker.compose.project={PROJECT}"
        if found := self("ps", "--all", "--quiet", "--filter", label).split():
            self("rm", "--force", "--time", "20", "--volumes", *found)

    def kill_process(self, container: str) -> int:
        """SIGKILL to the container's process, as if it crashed; its pid. ``podman kill`` would be a stop."""
        pid = self.pid(container)
        os.kill(pid, signal.SIGKILL)
        return pid

    def pid(self, container: str) -> int:
        """Of the container's first process on this machine; 0 when it isn't running."""
        return int(self("inspect", "--format", "{{.State.Pid}}", container))

    def health(self, container: str) -> bool:
        """Whether the container's own health check says yes, asked now."""
        result = subprocess.run(
            [self._podman, "healthcheck", "run", container], capture_output=True, check=False
        )
        return result.returncode == 0

    def inspect(self, container: str) -> dict[str, object]:
        """All podman knows of it."""
        found: list[dict[str, object]] = json.loads(self("inspect", container))
        return found[0]


def run(command: Sequence[str], *, check: bool = True, quiet: bool = True) -> str:
    """A command's standard output.

    Raises:
        RuntimeError: it failed.
    """
    result = subprocess.run(command, capture_output=quiet, text=True, cwd=ROOT, check=False)
    if check and result.returncode:
        said = ((result.stdout or "") + (result.stderr or ""))[-4000:]
        raise RuntimeError(f"{' '.join(command)} ended with {result.returncode}:\n{said}")
    return (result.stdout or "").strip()


def pin(package: str) -> str:
    """``package==release`` as ``constraints.txt`` has it."""
    text = (ROOT / "constraints.txt").read_text()
    match = re.search(rf"^{re.escape(package)}==.*$", text, re.MULTILINE | re.IGNORECASE)
    assert match, package
    return match.group()
