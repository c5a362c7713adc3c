"""Upload speed against `cp` + SHA-256 of the same file, and video to clip against bare decoding.

Usage: python tests/bench/upload.py [--megabytes N] [--repeats N] [--video FILE]

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

import av
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


def decode(video: Path) -> int:
    with av.open(str(video)) as container:
        return sum(len(frame.to_ndarray(format="rgb24")) > 0 for frame in container.decode(video=0))


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


def clips(client: Client, video: Path, repeats: int) -> dict[str, object]:
    """Frames per second from a client's video to a clip that workers can read."""
    whole, bare = [], []
    for _ in range(repeats):
        frames = decode(video)
        bare.append(frames / seconds(decode, video))
        begun = time.perf_counter()
        clip = client.upload_clip(video)
        whole.append(frames / (time.perf_counter() - begun))
        client.delete_clip(clip.name)
    return {
        "video": video.name,
        "clip_frames_per_s": spread(whole),
        "bare_decode_frames_per_s": spread(bare),
        "clip_ratio": spread([one / other for one, other in zip(whole, bare, strict=True)]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--video", type=Path, help="a video file; measures decoding into a clip, too")
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
                    if arguments.video is not None:
                        figures |= clips(client, arguments.video, arguments.repeats)
    record("upload", figures)


if __name__ == "__main__":
    main()
