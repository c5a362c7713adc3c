"""Every kind of bad upload ends in an error that names the field and the fix, and leaves nothing."""

from __future__ import annotations

import hashlib
import io
import struct
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import grpc
import numpy as np
import pytest
from autoisp.ingest.v1 import ingest_pb2
from autoisp_core.errors import ErrorCode
from autoisp_testing.scenes import Frames, moving_scene
from ingest_calls import (
    Ingest,
    chunks_of,
    header_of,
    real_video,
    received,
    refused,
    running_ingest,
    tar_of,
    upload,
)


@pytest.fixture(scope="module")
def ingest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingest]:
    limits = {
        "max_frame_side": 512,
        "max_clip_frames": 40,
        "max_upload_bytes": 4 << 20,
        "spool_bytes": 3 << 20,
        "min_upload_bytes_per_second": 1000,
        "upload_window_seconds": 0.5,
    }
    with running_ingest(tmp_path_factory.mktemp("ingest"), **limits) as running:
        yield running


def video(
    frames: Frames,
    *,
    container: str = "mp4",
    codec: str = "libx264",
    pix_fmt: str = "yuv444p",
    options: dict[str, str] | None = None,
    **tags: int,
) -> bytes:
    """The frames as a video file."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format={"mkv": "matroska"}.get(container, container)) as output:
        stream = output.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pix_fmt
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        for frame in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def index_first(mp4: bytes) -> bytes:
    """The same video with its index in front, as for streaming: only then can the front part be opened."""
    with tempfile.TemporaryDirectory() as folder, av.open(io.BytesIO(mp4)) as source:
        path = Path(folder) / "out.mp4"
        with av.open(str(path), "w", options={"movflags": "+faststart"}) as output:
            stream = output.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    output.mux(packet)
        return path.read_bytes()


def png(height: int = 64, width: int = 64, level: int = 100) -> bytes:
    """A grey PNG picture."""
    encoder = av.CodecContext.create("png", "w")
    encoder.height, encoder.width, encoder.pix_fmt = height, width, "rgb24"
    encoder.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), level, np.uint8), format="rgb24")
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def png_header_only(height: int, width: int) -> bytes:
    """A tiny, well-formed PNG that claims to be huge."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def tar_with(info: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        data = png()
        for name in ("0.png", "1.png"):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        archive.addfile(info)
    return buffer.getvalue()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def tiff(width: int = 0, *, damaged: bool = False) -> bytes:
    """A TIFF frame, deflated; its head may claim another size, and its pixels may be none."""
    encoder = av.CodecContext.create("tiff", "w")
    encoder.height, encoder.width, encoder.pix_fmt = 64, 64, "rgb24"
    encoder.time_base, encoder.options = Fraction(1, 25), {"compression_algo": "deflate"}
    frame = av.VideoFrame.from_ndarray(NOISE[0, :, :64], format="rgb24")
    data = bytearray(b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)]))
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from("<HH", data, entry)
        if width and tag in (256, 257):
            assert kind == 4
            struct.pack_into("<I", data, entry + 8, width)
    if damaged:
        data[4000:5000] = bytes(1000)
    return bytes(data)


def cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


SCENE = moving_scene(30)
TEXT = b"This is a text file, whatever it is called.\n" * 50
PLAYLIST = b"#EXTM3U\n#EXTINF:10,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
NOISE = np.random.default_rng(0).integers(0, 256, (12, 64, 96, 3), np.uint8)

BAD_FOOTAGE: dict[str, tuple[str, Callable[[], bytes], str, str]] = {
    "text as mp4": ("notes.mp4", lambda: TEXT, "UNREADABLE_FOOTAGE", "no video that can be read"),
    "text as mkv": ("notes.mkv", lambda: TEXT, "UNREADABLE_FOOTAGE", "no video that can be read"),
    "text as tar": ("notes.tar", lambda: TEXT, "UNREADABLE_FOOTAGE", "tar -cf"),
    "playlist as mp4": ("list.mp4", lambda: PLAYLIST, "UNREADABLE_FOOTAGE", "no video"),
    "mp4 without its index": ("a.mp4", lambda: cut(video(SCENE), 0.5), "UNREADABLE_FOOTAGE", "moov"),
    "mp4 cut in its index": ("a.mp4", lambda: cut(video(SCENE), 0.9), "NO_VIDEO", "cut off"),
    "mp4 cut off": ("a.mp4", lambda: cut(index_first(video(NOISE)), 0.6), "DAMAGED_FOOTAGE", "cut off"),
    "mp4 of fewer frames than it says": (
        "a.mp4",
        lambda: index_first(video(NOISE))[:-1200],
        "DAMAGED_FOOTAGE",
        "cut off",
    ),
    "mkv cut off": ("a.mkv", lambda: cut(video(NOISE, container="mkv"), 0.4), "DAMAGED_FOOTAGE", "cut off"),
    "avi cut off": (
        "a.avi",
        lambda: cut(video(NOISE, container="avi", codec="mpeg4", pix_fmt="yuv420p"), 0.6),
        "DAMAGED_FOOTAGE",
        "cut off",
    ),
    "one frame": ("one.mp4", lambda: video(SCENE[:1]), "TOO_FEW_FRAMES", "at least 2 frames"),
    "one frame, uncounted": (
        "one.mkv",
        lambda: video(SCENE[:1], container="mkv"),
        "TOO_FEW_FRAMES",
        "at least 2 frames",
    ),
    "too small": ("small.mp4", lambda: video(SCENE[:, :48, :]), "FRAME_TOO_SMALL", "at least 64x64"),
    "too wide": ("wide.mp4", lambda: video(moving_scene(3, 64, 520)), "FRAME_TOO_LARGE", "at most 512"),
    "too long": ("long.mp4", lambda: video(moving_scene(41)), "TOO_MANY_FRAMES", "40 frames"),
    "too long, uncounted": (
        "long.mkv",
        lambda: video(moving_scene(41), container="mkv"),
        "TOO_MANY_FRAMES",
        "40 frames",
    ),
    "interlaced": (
        "tv.mp4",
        lambda: video(SCENE, pix_fmt="yuv420p", options={"x264-params": "interlaced=1:tff=1"}),
        "INTERLACED",
        "deinterlace",
    ),
    "HDR": ("hdr.mp4", lambda: video(SCENE, color_trc=18), "HDR_FOOTAGE", "SDR"),
    "only sound": ("song.mkv", lambda: sound(), "NO_VIDEO", "no video stream"),
    "tiff that claims to be huge": (
        "a.tar",
        lambda: tar_of({"1.tif": tiff(width=100_000), "2.tif": tiff(width=100_000)}),
        "FRAME_TOO_LARGE",
        "at most 512",
    ),
    "tiff cut off": (
        "a.tar",
        lambda: tar_of({"1.tif": tiff(), "2.tif": tiff()[:-9]}),
        "INVALID_ARCHIVE",
        "cut off",
    ),
    "tiff with damaged pixels": (
        "a.tar",
        lambda: tar_of({"1.tif": tiff(), "2.tif": tiff(damaged=True)}),
        "DAMAGED_FOOTAGE",
        "export that frame again",
    ),
    "empty tar": ("a.tar", lambda: tar_of({}), "TOO_FEW_FRAMES", "no frame"),
    "tar of one frame": ("a.tar", lambda: tar_of({"1.png": png()}), "TOO_FEW_FRAMES", "at least 2"),
    "tar with another file": (
        "a.tar",
        lambda: tar_of({"1.png": png(), "readme.txt": b"hi"}),
        "INVALID_ARCHIVE",
        "readme.txt",
    ),
    "tar with a link": (
        "a.tar",
        lambda: tar_with(link("2.png", "/etc/hostname")),
        "INVALID_ARCHIVE",
        "not a regular file",
    ),
    "tar with a hard link": (
        "a.tar",
        lambda: tar_with(link("2.png", "0.png", tarfile.LNKTYPE)),
        "INVALID_ARCHIVE",
        "not a regular file",
    ),
    "tar with a device": (
        "a.tar",
        lambda: tar_with(link("2.png", "", tarfile.CHRTYPE)),
        "INVALID_ARCHIVE",
        "not a regular file",
    ),
    "tar with two sizes": (
        "a.tar",
        lambda: tar_of({"1.png": png(), "2.png": png(64, 66)}),
        "FRAME_SIZE_CHANGES",
        "one size",
    ),
    "tar with a text as png": (
        "a.tar",
        lambda: tar_of({"1.png": png(), "2.png": TEXT}),
        "INVALID_ARCHIVE",
        "'2.png'",
    ),
    "tar with a cut png": (
        "a.tar",
        lambda: tar_of({"1.png": png(), "2.png": png()[:-20]}),
        "INVALID_ARCHIVE",
        "cut off",
    ),
    "tar with a damaged png": (
        "a.tar",
        lambda: tar_of({"1.png": png(), "2.png": png()[:60] + b"\0\0" + png()[62:]}),
        "INVALID_ARCHIVE",
        "checksum",
    ),
    "tar cut off": (
        "a.tar",
        lambda: tar_of({"1.png": png(), "2.png": png()})[:1700],
        "UNREADABLE_FOOTAGE",
        "cut",
    ),
    "tar of huge pictures": (
        "a.tar",
        lambda: tar_of({name: png_header_only(60_000, 60_000) for name in ("1.png", "2.png")}),
        "FRAME_TOO_LARGE",
        "60000x60000",
    ),
}


def sound() -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as output:
        stream = output.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


@pytest.fixture
def nothing_stays(ingest: Ingest) -> Iterator[None]:
    before = ingest.clip_names(), ingest.files()
    yield
    assert (ingest.clip_names(), ingest.files()) == before


@pytest.mark.usefixtures("nothing_stays")
@pytest.mark.parametrize("case", BAD_FOOTAGE)
def test_bad_footage(ingest: Ingest, case: str) -> None:
    filename, make, reason, says = BAD_FOOTAGE[case]
    error = refused(upload, ingest.stub, make(), filename)
    assert (error.code, error.reason) == (ErrorCode.INVALID_ARGUMENT, reason), str(error)
    assert error.metadata["field"] == "chunk"
    assert says in str(error)
    assert filename in str(error)


GOOD = video(SCENE)
BAD_HEADERS: dict[str, tuple[dict[str, object], ErrorCode, str]] = {
    "no file name": ({"filename": ""}, ErrorCode.INVALID_ARGUMENT, "header.filename"),
    "no extension": ({"filename": "bikes"}, ErrorCode.INVALID_ARGUMENT, "header.filename"),
    "unknown extension": ({"filename": "bikes.exe"}, ErrorCode.INVALID_ARGUMENT, "header.filename"),
    "a path": ({"filename": "../../etc/a.mp4"}, ErrorCode.INVALID_ARGUMENT, "header.filename"),
    "a path with fullwidth slashes": (
        {"filename": "..／etc／a.mp4"},
        ErrorCode.INVALID_ARGUMENT,
        "header.filename",
    ),
    "a path with fraction slashes": (
        {"filename": "etc⁄a.mp4"},
        ErrorCode.INVALID_ARGUMENT,
        "header.filename",
    ),
    "a fullwidth dot": ({"filename": "．hidden.mp4"}, ErrorCode.INVALID_ARGUMENT, "header.filename"),
    "two dots in one": ({"filename": "‥a.mp4"}, ErrorCode.INVALID_ARGUMENT, "header.filename"),
    "text turned round": ({"filename": "a‮4pm.mp4"}, ErrorCode.INVALID_ARGUMENT, "header.filename"),
    "a title turned round": (
        {"display_name": "a‮4pm"},
        ErrorCode.INVALID_ARGUMENT,
        "header.display_name",
    ),
    "over what the spool has": (
        {"size_bytes": (3 << 20) + 1},
        ErrorCode.RESOURCE_EXHAUSTED,
        "header.size_bytes",
    ),
    "10 GB": ({"size_bytes": 10 << 30}, ErrorCode.RESOURCE_EXHAUSTED, "header.size_bytes"),
    "an offset that was never received": (
        {"first_offset": 5},
        ErrorCode.OUT_OF_RANGE,
        "header.first_offset",
    ),
    "a negative offset": ({"first_offset": -1}, ErrorCode.OUT_OF_RANGE, "header.first_offset"),
    "a Windows path": ({"filename": "..\\a.mp4"}, ErrorCode.INVALID_ARGUMENT, "header.filename"),
    "a zero byte": ({"filename": "a\0.mp4"}, ErrorCode.INVALID_ARGUMENT, "header.filename"),
    "a hidden file": ({"filename": ".mp4"}, ErrorCode.INVALID_ARGUMENT, "header.filename"),
    "a long name": ({"filename": "a" * 300 + ".mp4"}, ErrorCode.INVALID_ARGUMENT, "header.filename"),
    "a long title": ({"display_name": "a" * 300}, ErrorCode.INVALID_ARGUMENT, "header.display_name"),
    "no size": ({"size_bytes": 0}, ErrorCode.INVALID_ARGUMENT, "header.size_bytes"),
    "a negative size": ({"size_bytes": -1}, ErrorCode.INVALID_ARGUMENT, "header.size_bytes"),
    "too small a size": ({"size_bytes": len(GOOD) - 1}, ErrorCode.INVALID_ARGUMENT, "header.size_bytes"),
    "over the quota": ({"size_bytes": 5 << 20}, ErrorCode.RESOURCE_EXHAUSTED, "header.size_bytes"),
    "no digest": ({"sha256": ""}, ErrorCode.INVALID_ARGUMENT, "header.sha256"),
    "no hexadecimal digest": ({"sha256": "Z" * 64}, ErrorCode.INVALID_ARGUMENT, "header.sha256"),
    "another digest": (
        {"sha256": hashlib.sha256(b"other").hexdigest()},
        ErrorCode.INVALID_ARGUMENT,
        "header.sha256",
    ),
}


@pytest.mark.usefixtures("nothing_stays")
@pytest.mark.parametrize("case", BAD_HEADERS)
def test_bad_headers(ingest: Ingest, case: str) -> None:
    changes, code, field = BAD_HEADERS[case]
    error = refused(upload, ingest.stub, GOOD, **{"filename": "good.mp4", **changes})
    assert (error.code, error.metadata["field"]) == (code, field), str(error)


@pytest.mark.usefixtures("nothing_stays")
def test_a_stream_that_ends_before_all_that_was_announced(ingest: Ingest) -> None:
    error = refused(upload, ingest.stub, GOOD, "good.mp4", size_bytes=len(GOOD) + 1)
    assert (error.code, error.reason) == (ErrorCode.INVALID_ARGUMENT, "UPLOAD_ENDED_EARLY")
    assert error.metadata["field"] == "header.size_bytes"
    # A client that leaves looks the same, so what came waits for the rest, or for another beginning.
    assert received(ingest.stub, GOOD) == len(GOOD)
    clip = upload(ingest.stub, GOOD, "good.mp4")
    ingest.stub.DeleteClip(ingest_pb2.DeleteClipRequest(name=clip.name))


BAD_STREAMS: dict[str, tuple[Callable[[], Iterator[ingest_pb2.UploadClipRequest]], str]] = {
    "nothing": (lambda: iter([]), "header"),
    "chunk first": (lambda: chunks_of(GOOD), "header"),
    "two headers": (lambda: iter([header_of(GOOD, "a.mp4"), header_of(GOOD, "a.mp4")]), "header"),
    "an empty message": (
        lambda: iter([header_of(GOOD, "a.mp4"), ingest_pb2.UploadClipRequest()]),
        "payload",
    ),
    "an empty chunk": (
        lambda: iter([header_of(GOOD, "a.mp4"), ingest_pb2.UploadClipRequest(chunk=b"")]),
        "chunk",
    ),
    "a huge chunk": (
        lambda: iter(
            [header_of(bytes(2 << 20), "a.mp4"), ingest_pb2.UploadClipRequest(chunk=bytes(2 << 20))]
        ),
        "chunk",
    ),
    "a chunk at another offset": (
        lambda: iter([header_of(GOOD, "a.mp4"), ingest_pb2.UploadClipRequest(chunk=b"abc", offset=1)]),
        "offset",
    ),
    "a chunk with a negative offset": (
        lambda: iter([header_of(GOOD, "a.mp4"), ingest_pb2.UploadClipRequest(chunk=b"abc", offset=-3)]),
        "offset",
    ),
    "no chunks": (lambda: iter([header_of(GOOD, "a.mp4")]), "header.size_bytes"),
}


@pytest.mark.usefixtures("nothing_stays")
@pytest.mark.parametrize("case", BAD_STREAMS)
def test_bad_streams(ingest: Ingest, case: str) -> None:
    messages, field = BAD_STREAMS[case]
    error = refused(ingest.stub.UploadClip, messages(), timeout=30)
    assert (error.code, error.metadata["field"]) == (ErrorCode.INVALID_ARGUMENT, field), str(error)


def test_a_sender_that_is_too_slow_can_go_on(ingest: Ingest) -> None:
    data = video(moving_scene(5, seed=9))

    def dribbles() -> Iterator[ingest_pb2.UploadClipRequest]:
        yield header_of(data, "slow.mp4")
        for index in range(100):
            yield ingest_pb2.UploadClipRequest(chunk=data[index : index + 1])
            time.sleep(0.05)

    error = refused(ingest.stub.UploadClip, dribbles(), timeout=30)
    assert (error.code, error.reason) == (ErrorCode.DEADLINE_EXCEEDED, "SENDER_TOO_SLOW")
    there = received(ingest.stub, data)
    assert 0 < there < 100
    assert upload(ingest.stub, data, "slow.mp4", first_offset=there).frame_count == 5
    assert ingest.spooled() == []


@pytest.mark.parametrize("sha256", ["", "abc", "A" * 64, "../../../etc/passwd"])
def test_uploads_that_can_not_be(ingest: Ingest, sha256: str) -> None:
    error = refused(ingest.stub.GetUpload, ingest_pb2.GetUploadRequest(sha256=sha256))
    assert (error.code, error.metadata["field"]) == (ErrorCode.INVALID_ARGUMENT, "sha256")


def test_an_upload_that_nobody_knows(ingest: Ingest) -> None:
    error = refused(ingest.stub.GetUpload, ingest_pb2.GetUploadRequest(sha256="0" * 64))
    assert error.code is ErrorCode.NOT_FOUND


@pytest.mark.usefixtures("nothing_stays")
def test_a_message_over_grpcs_own_limit(ingest: Ingest) -> None:
    messages = [header_of(bytes(5 << 20), "a.mp4"), ingest_pb2.UploadClipRequest(chunk=bytes(5 << 20))]
    with pytest.raises(grpc.RpcError) as caught:
        ingest.stub.UploadClip(iter(messages), timeout=30)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]


def test_odd_sizes_are_taken_without_the_last_row_and_column(ingest: Ingest) -> None:
    clip = upload(ingest.stub, video(moving_scene(3, 65, 97)), "odd.mp4")
    assert (clip.width, clip.height, clip.frame_count) == (96, 64, 3)


@pytest.mark.parametrize(
    ("container", "codec", "pix_fmt"),
    [
        ("mp4", "libx264", "yuv420p"),
        ("mov", "mpeg4", "yuv420p"),
        ("mkv", "ffv1", "yuv444p"),
        ("webm", "libvpx", "yuv420p"),
        ("avi", "mpeg4", "yuv420p"),
        ("mpegts", "mpeg2video", "yuv420p"),
    ],
)
def test_good_containers_pass_the_same_checks(
    ingest: Ingest, container: str, codec: str, pix_fmt: str
) -> None:
    suffix = {"mpegts": "ts"}.get(container, container)
    clip = upload(ingest.stub, video(SCENE, container=container, codec=codec, pix_fmt=pix_fmt), f"a.{suffix}")
    assert (clip.width, clip.height, clip.frame_count, clip.frame_rate) == (96, 64, 30, 25)


def test_a_real_video_cut_off(ingest: Ingest, tmp_path: Path) -> None:
    data = real_video("bikes.mp4").read_bytes()
    error = refused(upload, ingest.stub, data[: len(data) // 2], "bikes.mp4")
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert "bikes.mp4" in str(error)
