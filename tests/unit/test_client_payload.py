"""Files as streams of chunks."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest
from autoisp_client.frame_tar import frame_tar, frame_tar_size
from autoisp_client.payload import CHUNK_BYTES, clip_payload, file_payload, frame_files
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.media import SIDECAR


def test_a_file_is_cut_into_chunks_with_its_size_and_digest(tmp_path):
    data = bytes(range(256)) * 5000
    path = tmp_path / "clip.mp4"
    path.write_bytes(data)
    payload = file_payload(path)
    chunks = list(payload.chunks())
    assert b"".join(chunks) == data
    assert [len(chunk) for chunk in chunks[:-1]] == [CHUNK_BYTES] * (len(chunks) - 1)
    assert (payload.filename, payload.size_bytes) == ("clip.mp4", len(data))
    assert payload.sha256 == hashlib.sha256(data).hexdigest()


def test_a_folder_becomes_a_tar_in_the_order_people_expect(tmp_path):
    folder = tmp_path / "shot"
    folder.mkdir()
    for number in (10, 2, 1):
        (folder / f"f{number}.png").write_bytes(b"%d" % number * 700)
    (folder / "notes.txt").write_text("no frame")
    payload = clip_payload(folder)
    data = b"".join(payload.chunks())
    assert (payload.filename, payload.size_bytes) == ("shot.tar", len(data))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = archive.getnames()
        first = archive.extractfile(names[0])
        assert first is not None
        assert first.read() == b"1" * 700
    assert names == ["000000.png", "000001.png", "000002.png"]


def test_the_same_frames_elsewhere_are_the_same_clip(tmp_path):
    payloads = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(b"frame")
        payloads.append(clip_payload(tmp_path / name))
    assert payloads[0].sha256 == payloads[1].sha256


def test_numbers_in_names_count_as_numbers(tmp_path):
    for name in ("b1.png", "a10.PNG", "a9.png", "readme"):
        (tmp_path / name).touch()
    assert [path.name for path in frame_files(tmp_path)] == ["a9.png", "a10.PNG", "b1.png"]


@pytest.mark.parametrize("suffix", [".DNG", ".nef", ".tiff"])
def test_raw_files_and_tiff_pictures_are_frames_too(tmp_path, suffix):
    for number in (10, 9):
        (tmp_path / f"shot{number}{suffix}").write_bytes(b"%d" % number)
    with tarfile.open(fileobj=io.BytesIO(b"".join(clip_payload(tmp_path).chunks()))) as archive:
        assert archive.getnames() == [f"000000{suffix.lower()}", f"000001{suffix.lower()}"]
        first = archive.extractfile(archive.getnames()[0])
        assert first is not None
        assert first.read() == b"9"


def test_dumps_travel_with_their_sidecar(tmp_path):
    for name in ("f2.raw", "f1.raw", "sidecar.json", "preview.png"):
        (tmp_path / name).write_bytes(name.encode())
    with tarfile.open(fileobj=io.BytesIO(b"".join(clip_payload(tmp_path).chunks()))) as archive:
        assert archive.getnames() == ["sidecar.json", "000000.raw", "000001.raw"]


def test_frames_of_several_kinds_are_refused(tmp_path):
    for name in ("a.dng", "b.tif", "c.tiff"):
        (tmp_path / name).touch()
    with pytest.raises(InvalidArgumentError, match=r"several kinds \(.dng, .tif\)"):
        clip_payload(tmp_path)


def test_what_is_not_there_is_named(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder").mkdir()
    for name, message in (("no.mp4", "no file"), ("empty.mp4", "empty"), ("folder", "has no frames")):
        with pytest.raises(InvalidArgumentError, match=message) as caught:
            clip_payload(tmp_path / name)
        assert name in caught.value.message


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(type(tmp_path), "iterdir", denied)
    with pytest.raises(InvalidArgumentError, match="Permission denied; check its permissions") as caught:
        clip_payload(tmp_path)
    assert str(tmp_path) in caught.value.message


def test_a_path_that_cannot_be_looked_up_is_an_input_error(tmp_path):
    with pytest.raises(InvalidArgumentError, match="can't read"):
        clip_payload(tmp_path / ("a" * 5000))


def test_names_that_only_look_like_numbers_or_are_the_same_number(tmp_path, monkeypatch):
    names = ["01.png", "1.png", "2.png", "²1.png"]
    for name in names:
        (tmp_path / name).touch()
    for found in (names, names[::-1]):  # folders list their files in any order
        monkeypatch.setattr(Path, "iterdir", lambda folder, found=found: (folder / name for name in found))
        assert [path.name for path in frame_files(tmp_path)] == names


@pytest.mark.parametrize(("size", "magic"), [((8 << 30) - 1, b"ustar\x0000"), (8 << 30, b"ustar  \x00")])
def test_a_dump_may_be_larger_than_ustar_can_say(tmp_path, size, magic):
    path = tmp_path / "a.raw"
    with path.open("wb") as file:
        file.truncate(size)
    (tmp_path / SIDECAR).write_bytes(b"{}")
    blocks = frame_tar([tmp_path / SIDECAR, path], lambda one: one.open("rb"))
    header = [next(blocks) for _ in range(4)][3]
    assert len(header) == 512
    assert header[257:265] == magic
    assert tarfile.TarInfo.frombuf(header, "utf-8", "strict").size == size


def test_the_size_of_a_tar_is_known_beforehand(tmp_path):
    for number, size in enumerate((0, 1, 511, 512, 513)):
        (tmp_path / f"{number}.png").write_bytes(bytes(size))
    assert clip_payload(tmp_path).size_bytes == frame_tar_size((0, 1, 511, 512, 513))
