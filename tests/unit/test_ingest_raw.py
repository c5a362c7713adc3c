"""Raw footage through the decoder: what goes in comes out, and what is not raw footage is refused by name."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import struct
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.frames import FrameKind
from autoisp_core.noise import Noise
from autoisp_ingest.decoding import MediaDecoder
from autoisp_ingest.domain import FootageLimits, UploadHeader
from autoisp_ingest.domain.footage import check_enough_frames
from autoisp_ingest.libraw import RawError, RawReader, RawSizes
from autoisp_ingest.libraw.protocol import LENGTH_BYTES
from autoisp_testing.dng import AS_SHOT_NEUTRAL, dng_bytes
from numpy.typing import NDArray

LIMITS = FootageLimits(max_side=512, max_frames=8)
Mosaic = NDArray[np.uint16]


def mosaic(seed: int = 0, height: int = 70, width: int = 90, bits: int = 10) -> Mosaic:
    return np.random.default_rng(seed).integers(0, 1 << bits, (height, width), np.uint16)


def tar_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def dump(files: dict[str, bytes], **changes: Any) -> bytes:
    """A tar of dumps of 90×70 pixels of 10 bits in 16."""
    keys: dict[str, Any] = {"width": 90, "height": 70, "cfa": "BGGR", "bit_depth": 10, "packing": "raw16"}
    keys |= {"black_level": 64, "white_level": 1023} | changes
    return tar_of({"sidecar.json": json.dumps(keys).encode(), **files})


def decoded(tmp_path: Path, data: bytes, name: str) -> tuple[Any, list[Mosaic], list[int]]:
    """The opened footage, its planes and its times."""
    path = tmp_path / "spooled"
    path.write_bytes(data)
    header = UploadHeader(name, len(data), "0" * 64)
    with MediaDecoder(LIMITS).open(path, header) as footage:
        frames = [(np.array(frame.planes[0]), frame.time_ns) for frame in footage.frames]
    return footage, [plane for plane, _ in frames], [time for _, time in frames]


@pytest.mark.parametrize("cfa", ["RGGB", "BGGR", "GRBG", "GBRG"])
def test_a_dng_is_its_mosaic(tmp_path: Path, cfa: str) -> None:
    pixels = mosaic()
    footage, planes, times = decoded(tmp_path, dng_bytes(pixels, cfa=cfa), "still.DNG")
    np.testing.assert_array_equal(planes[0], pixels)
    assert (len(planes), times) == (1, [0])
    found = footage.format
    assert (found.kind, found.bit_depth, found.cfa, found.rotation) == (FrameKind.BAYER, 10, cfa, 0)
    assert (found.stored_width, found.stored_height, footage.codec) == (90, 70, "dng")


def test_a_dng_says_what_its_sensor_is(tmp_path: Path) -> None:
    data = dng_bytes(mosaic(), black_level=63.5, white_level=1000, noise_profile=(0.002, 1e-5) * 3)
    sensor = decoded(tmp_path, data, "still.dng")[0].sensor
    assert (sensor.name, sensor.cfa, sensor.white_level) == ("AutoISP test camera", "RGGB", 1000)
    assert sensor.black_level == pytest.approx(63.5, abs=0.51)  # LibRaw rounds levels
    red, _, blue = AS_SHOT_NEUTRAL
    assert sensor.gains == pytest.approx((1 / red, 1.0, 1 / blue), rel=1e-3)
    assert sensor.test_noise.shot == pytest.approx(0.002)
    assert sensor.test_noise.read == pytest.approx(1e-5)
    assert not sensor.has_identity_ccm


@pytest.mark.parametrize(
    ("area", "first", "cfa"),
    [
        ((2, 4, 68, 88), (2, 4), "RGGB"),
        # LibRaw begins at even places; the tile is that of the first pixel kept.
        ((1, 3, 69, 87), (2, 4), "BGGR"),
        ((2, 3, 68, 88), (2, 4), "GRBG"),
        ((1, 4, 68, 88), (2, 4), "GBRG"),
    ],
)
def test_the_tile_is_that_of_the_visible_area(
    tmp_path: Path, area: tuple[int, ...], first: tuple[int, int], cfa: str
) -> None:
    pixels = mosaic()
    footage, planes, _ = decoded(tmp_path, dng_bytes(pixels, active_area=area), "still.dng")
    np.testing.assert_array_equal(planes[0], pixels[first[0] : area[2], first[1] : area[3]])
    assert footage.format.cfa == cfa


@pytest.mark.parametrize(("orientation", "degrees"), [(1, 0), (3, 180), (6, 90), (8, 270)])
def test_how_the_camera_was_held(tmp_path: Path, orientation: int, degrees: int) -> None:
    footage, _, _ = decoded(tmp_path, dng_bytes(mosaic(), orientation=orientation), "still.dng")
    assert footage.format.rotation == degrees


def test_values_above_white_keep_their_bits(tmp_path: Path) -> None:
    pixels = mosaic(bits=12)
    footage, planes, _ = decoded(tmp_path, dng_bytes(pixels, white_level=1000), "still.dng")
    np.testing.assert_array_equal(planes[0], pixels)
    assert footage.format.bit_depth == 12


def test_a_burst_is_in_the_order_of_its_names(tmp_path: Path) -> None:
    burst = tar_of({f"shot{number}.dng": dng_bytes(mosaic(number)) for number in (10, 9, 11)})
    footage, planes, times = decoded(tmp_path, burst, "burst.tar")
    for seed, plane in zip((9, 10, 11), planes, strict=True):
        np.testing.assert_array_equal(plane, mosaic(seed))
    assert (times, footage.frame_rate) == ([0, 0, 0], 0.0)


@pytest.mark.parametrize("apart", [True, False])
def test_a_dump_is_its_mosaics(tmp_path: Path, apart: bool) -> None:
    frames = [mosaic(seed).tobytes() for seed in range(3)]
    files = {f"{i}.raw": frame for i, frame in enumerate(frames)} if apart else {"all.raw": b"".join(frames)}
    data = dump(files, frames=3, frame_rate=30, noise={"shot": 0.01, "read": 0.001})
    footage, planes, times = decoded(tmp_path, data, "dump.tar")
    for seed, plane in enumerate(planes):
        np.testing.assert_array_equal(plane, mosaic(seed))
    assert (len(planes), footage.codec, footage.frame_rate) == (3, "raw16", 30.0)
    assert times == [0, 33_333_333, 66_666_667]
    assert footage.sensor.test_noise == Noise(0.01, 0.001)


def test_eight_bits_are_kept_as_eight(tmp_path: Path) -> None:
    pixels = mosaic(bits=8)
    data = dump({"0.raw": pixels.tobytes()}, bit_depth=8, white_level=255)
    _, planes, _ = decoded(tmp_path, data, "dump.tar")
    assert planes[0].dtype == np.uint8
    np.testing.assert_array_equal(planes[0], pixels)


FRAME = mosaic().tobytes()
GOOD = dng_bytes(mosaic())
X_TRANS = "GBGGRGRGRBGBGBGGRGGRGGBGBGBRGRGRGGBG"
REFUSED: dict[str, tuple[str, bytes, str, str, str]] = {
    "text": ("a.dng", b"no raw at all " * 100, "chunk", "UNREADABLE_FOOTAGE", "a.dng"),
    "nothing": ("a.nef", b"\0", "chunk", "UNREADABLE_FOOTAGE", "a.nef"),
    "cut off": ("a.dng", GOOD[:-500], "chunk", "UNREADABLE_FOOTAGE", "cut off"),
    "cut in its head": ("a.dng", GOOD[:200], "chunk", "UNREADABLE_FOOTAGE", "a.dng"),
    "huge": ("a.dng", dng_bytes(mosaic(), size=(40_000, 40_000)), "chunk", "FRAME_TOO_LARGE", "40000x40000"),
    "larger than that": (
        "a.dng",
        dng_bytes(mosaic(), size=(100_000, 100_000)),
        "chunk",
        "UNREADABLE_FOOTAGE",
        "a.dng",
    ),
    "small": ("a.dng", dng_bytes(mosaic(0, 32, 90)), "chunk", "FRAME_TOO_SMALL", "90x32"),
    "X-Trans": ("a.dng", dng_bytes(mosaic(), cfa=X_TRANS), "chunk", "NO_BAYER_MOSAIC", "X-Trans"),
    "mirrored": ("a.dng", dng_bytes(mosaic(), orientation=2), "chunk", "UNREADABLE_FOOTAGE", "mirrored"),
    "a matrix of zeros": (
        "a.dng",
        dng_bytes(mosaic(), color_matrix=[0.0] * 9),
        "chunk",
        "INVALID_SENSOR",
        "matrix",
    ),
    "two sizes": (
        "a.tar",
        tar_of({"1.dng": GOOD, "2.dng": dng_bytes(mosaic(0, 72, 90))}),
        "chunk",
        "FRAME_SIZE_CHANGES",
        "'2.dng'",
    ),
    "two cameras": (
        "a.tar",
        tar_of({"1.dng": GOOD, "2.dng": dng_bytes(mosaic(), cfa="BGGR")}),
        "chunk",
        "SENSOR_CHANGES",
        "'2.dng'",
    ),
    "two kinds": ("a.tar", tar_of({"1.dng": GOOD, "2.nef": GOOD}), "chunk", "INVALID_ARCHIVE", "'2.nef'"),
    "raw beside text": (
        "a.tar",
        tar_of({"1.dng": GOOD, "readme.txt": b"hi"}),
        "chunk",
        "INVALID_ARCHIVE",
        "'readme.txt'",
    ),
    "too many": (
        "a.tar",
        tar_of({f"{i}.dng": GOOD for i in range(9)}),
        "chunk",
        "TOO_MANY_FRAMES",
        "8 frames",
    ),
    "no sidecar": ("a.tar", tar_of({"0.raw": FRAME}), "chunk", "INVALID_ARCHIVE", "sidecar.json"),
    "only a sidecar": ("a.tar", dump({}), "chunk", "TOO_FEW_FRAMES", ".raw"),
    "a dump beside text": (
        "a.tar",
        dump({"0.raw": FRAME, "t.txt": b""}),
        "chunk",
        "INVALID_ARCHIVE",
        "t.txt",
    ),
    "a short dump": ("a.tar", dump({"0.raw": FRAME[:-1]}), "sidecar.row_stride", "DUMP_SIZE", "'0.raw'"),
    "an empty dump": ("a.tar", dump({"0.raw": b""}), "sidecar.row_stride", "DUMP_SIZE", "'0.raw'"),
    "files of several frames": (
        "a.tar",
        dump({"0.raw": FRAME * 2, "1.raw": FRAME}),
        "sidecar.row_stride",
        "DUMP_SIZE",
        "'0.raw'",
    ),
    "fewer frames than it says": (
        "a.tar",
        dump({"0.raw": FRAME}, frames=2),
        "sidecar.frames",
        "DUMP_SIZE",
        "holds 1",
    ),
    "too long a dump": ("a.tar", dump({"0.raw": FRAME * 9}), "chunk", "TOO_MANY_FRAMES", "8 frames"),
    "values beyond the bits": (
        "a.tar",
        dump({"0.raw": FRAME}, bit_depth=9, white_level=511),
        "sidecar.bit_depth",
        "DUMP_VALUES",
        "bit_depth",
    ),
    "a gigantic dump": (
        "a.tar",
        dump({"0.raw": FRAME}, width=100_000, height=100_000),
        "chunk",
        "FRAME_TOO_LARGE",
        "100000x100000",
    ),
    "a sidecar that is huge": (
        "a.tar",
        tar_of({"sidecar.json": b" " * 70_000, "0.raw": FRAME}),
        "chunk",
        "INVALID_ARCHIVE",
        "64 KiB",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(tmp_path: Path, case: str) -> None:
    name, data, field, reason, says = REFUSED[case]
    with pytest.raises(InvalidArgumentError) as caught:
        decoded(tmp_path, data, name)
    assert (caught.value.field, caught.value.reason) == (field, reason), str(caught.value)
    assert says in str(caught.value)


NAN = struct.pack("<d", float("nan"))


@pytest.mark.parametrize(
    "hostile",
    [
        # An illuminant without a value; one that is no number; a directory at no number, and one far away.
        GOOD.replace(struct.pack("<HHI", 50778, 3, 1), struct.pack("<HHI", 50778, 3, 0)),
        GOOD.replace(struct.pack("<HHI", 50708, 2, 20), struct.pack("<HHI", 50779, 12, 1)),
        GOOD.replace(struct.pack("<HHI", 50708, 2, 20), struct.pack("<HHI", 34665, 12, 1)).replace(
            b"AutoISP ", NAN
        ),
        GOOD.replace(struct.pack("<HHI", 50778, 3, 1), struct.pack("<HHI", 34665, 4, 1)),
        GOOD.replace(struct.pack("<HHI", 50778, 3, 1), struct.pack("<HHI", 330, 4, 1)),
        dng_bytes(mosaic(), noise_profile=(float("nan"), 1e-5)),
        dng_bytes(mosaic(), noise_profile=(float("inf"), -1.0)),
    ],
)
def test_hostile_tags_are_refused_or_passed_over(tmp_path: Path, hostile: bytes) -> None:
    assert hostile != GOOD
    try:
        footage, _, _ = decoded(tmp_path, hostile, "a.dng")
    except InvalidArgumentError as error:
        assert error.reason in ("INVALID_SENSOR", "UNREADABLE_FOOTAGE")  # noqa: PT017 - either is good
    else:
        assert footage.sensor.cfa == "RGGB"


def test_a_raw_still_is_enough() -> None:
    check_enough_frames("still", 1, raw=True)
    for frames, raw in ((0, True), (1, False)):
        with pytest.raises(InvalidArgumentError, match="at least 2 frames"):
            check_enough_frames("still", frames, raw=raw)


def test_a_file_that_kills_its_reader_hurts_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(sizes: RawSizes) -> None:
        assert reader._process is not None
        reader._process.kill()
        reader._process.wait()

    with RawReader() as reader:
        with pytest.raises(RawError, match="fails on it"):
            reader.read(GOOD, kill)
        facts, pixels = reader.read(GOOD, lambda sizes: None)
    np.testing.assert_array_equal(pixels, mosaic())
    assert facts.pattern == "RGGB"


def test_a_file_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoisp_ingest.libraw.reader._FILE_TIMEOUT_S", 0.0)
    with RawReader() as reader, pytest.raises(RawError, match="fails on it"):
        reader.read(GOOD, lambda sizes: None)


def test_the_process_limits_its_own_time() -> None:
    """Of each file; whoever would end it may be gone."""
    hanging = """
import itertools, rawpy
import autoisp_ingest.libraw.__main__ as process
files = itertools.count()
class Hanging:
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def open_buffer(self, _):
        for _ in itertools.repeat(0) if next(files) else range(10**6): pass
        raise ValueError("done")
rawpy.RawPy = Hanging
process.FILE_SECONDS = 0
process.main()
"""
    file = (1).to_bytes(LENGTH_BYTES) + b"x"
    done = subprocess.run(
        [sys.executable, "-c", hanging], input=2 * file, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == -signal.SIGXCPU, done.stderr
    assert done.stdout == b'{"error": "done"}\n'


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends processes with their parents")
def test_the_process_ends_with_a_service_that_is_killed(tmp_path: Path) -> None:
    """Even if it hangs: here it is stopped."""
    (tmp_path / "good.dng").write_bytes(GOOD)
    service = """
import pathlib, sys, time
from autoisp_ingest.libraw import RawReader
reader = RawReader()
reader.read(pathlib.Path(sys.argv[1]).read_bytes(), lambda sizes: None)
print(reader._process.pid, flush=True)
time.sleep(600)
"""
    command = [sys.executable, "-c", service, str(tmp_path / "good.dng")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(child, signal.SIGSTOP)
        parent.kill()
    deadline = time.monotonic() + 20
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    try:
        assert not _runs(child)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def test_a_lying_header_of_an_archive_takes_no_memory(tmp_path: Path) -> None:
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 4 << 30
    path = tmp_path / "spooled"
    with path.open("wb") as file:
        file.write(header.tobuf(format=tarfile.USTAR_FORMAT))
        file.truncate(5 << 30)  # sparse
    with pytest.raises(InvalidArgumentError, match="a header in it claims"):  # noqa: SIM117
        with MediaDecoder(LIMITS).open(path, UploadHeader("a.tar", 1, "0" * 64)):
            pass
