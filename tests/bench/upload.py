"""Upload speed of artifacts against `cp` + SHA-256 of the same file; clips are measured by ingest.py.

Usage: python tests/bench/upload.py [--megabytes N] [--repeats N]

Every pair is measured back to back, in alternation, so that a busy neighbour slows both sides.
"""

import argparse
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from autoisp_client import Client, Endpoints
from autoisp_testing.nats import NatsServer
from autoisp_testing.processes import ServiceProcess
from record import record, spread


def seconds(action: Callable[..., object], *args: object) -> float:
    begun = time.perf_counter()
    action(*args)
    return time.perf_counter() - begun


def copy_and_hash(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    with target.open("rb") as copy:
        hashlib.file_digest(copy, "sha256")


def uploads(client: Client, folder: Path, megabytes: int, repeats: int) -> dict[str, object]:
    """MB/s from a client's file to the artifact store; the copy ends in the same file system."""
    sent, copied = [], []
    for _ in range(repeats):
        source = folder / "source.bin"
        source.write_bytes(os.urandom(megabytes << 20))  # new bytes: known ones would not be sent again
        copied.append(megabytes / seconds(copy_and_hash, source, folder / "copy.bin"))
        sent.append(megabytes / seconds(client.upload_artifact, source))
    return {
        "megabytes": megabytes,
        "upload_mb_per_s": spread(sent),
        "copy_and_sha256_mb_per_s": spread(copied),
        "upload_ratio": spread([one / other for one, other in zip(sent, copied, strict=True)]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("nats", "registry", "ingest"):
            (folder / part).mkdir()
        with NatsServer(folder / "nats") as nats:
            common = {"nats_url": nats.url, "store_url": f"file://{folder / 'store'}"}
            with (
                ServiceProcess("autoisp_registry", folder / "registry", **common) as registry,
                ServiceProcess("autoisp_ingest", folder / "ingest", **common) as ingest,
            ):
                registry_at, ingest_at = registry.address, ingest.address
                # Nobody is asked about searches and evaluations here.
                endpoints = Endpoints(ingest_at, registry_at, registry_at, registry_at)
                with Client(endpoints) as client:
                    figures = uploads(client, folder, arguments.megabytes, arguments.repeats)
    record("upload", figures)


if __name__ == "__main__":
    main()
