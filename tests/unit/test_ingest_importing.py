"""What the server reads of its own disks: nothing before it must, and nothing outside, whoever swaps what."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from autoisp_client.payload import clip_payload
from autoisp_core.errors import AutoISPError, InvalidArgumentError, PermissionDeniedError, UnavailableError
from autoisp_ingest.importing import AllowedSources, ImportRoots

SECRET = b"secret"


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "allowed"
    for path in (folder, tmp_path / "outside", folder / "shot", tmp_path / "outside" / "shot"):
        path.mkdir()
    for outside in ("a.mp4", "shot/0.png", "shot/1.png"):
        (tmp_path / "outside" / outside).write_bytes(SECRET)
        (folder / outside).write_bytes(b"public")
    return folder


@pytest.fixture
def sources(allowed: Path) -> AllowedSources:
    return AllowedSources(ImportRoots.parse(allowed.as_uri()))


async def test_size_and_bytes_are_those_of_an_upload(sources: AllowedSources, allowed: Path) -> None:
    for number, size in enumerate((1, 512, 513, 2 << 20)):
        (allowed / "shot" / f"f{number}.png").write_bytes(os.urandom(size))
    (allowed / "shot" / "notes.txt").write_text("no frame")
    for name in ("a.mp4", "shot"):
        source, payload = await sources.find((allowed / name).as_uri()), clip_payload(allowed / name)
        data = b"".join(source.blocks())
        assert (source.filename, source.size_bytes) == (payload.filename, payload.size_bytes)
        assert data == b"".join(payload.chunks())


@pytest.mark.parametrize("name", ["a.mp4", "shot"])
async def test_nothing_is_read_until_it_is_copied(
    sources: AllowedSources, allowed: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*words: object, **options: object) -> int:
        pytest.fail("it was opened")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", never)
        patch.setattr(Path, "open", never)
        source = await sources.find((allowed / name).as_uri())
        source.blocks()


def by_a_link(path: Path, other: Path) -> None:
    path.unlink()
    path.symlink_to(other)


def by_its_folder(path: Path, other: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.symlink_to(other.parent)


@pytest.mark.parametrize("swap", [by_a_link, by_its_folder])
@pytest.mark.parametrize("name", ["shot", "shot/1.png"])
async def test_what_is_swapped_after_the_check_is_not_read(
    sources: AllowedSources, allowed: Path, name: str, swap: Callable[[Path, Path], None]
) -> None:
    source = await sources.find((allowed / name).as_uri())
    read: list[bytes] = []
    swap(allowed / "shot" / "1.png", allowed.parent / "outside" / "shot" / "1.png")
    with pytest.raises(PermissionDeniedError, match="AUTOISP_IMPORT_ROOTS"):
        read.extend(source.blocks())
    assert not [block for block in read if SECRET in block]


async def test_a_pipe_in_a_files_place_holds_nobody(sources: AllowedSources, allowed: Path) -> None:
    source = await sources.find((allowed / "a.mp4").as_uri())
    (allowed / "a.mp4").unlink()
    os.mkfifo(allowed / "a.mp4")
    with pytest.raises(InvalidArgumentError, match="no file"):
        list(source.blocks())


async def test_a_file_that_goes_away(sources: AllowedSources, allowed: Path) -> None:
    source = await sources.find((allowed / "a.mp4").as_uri())
    (allowed / "a.mp4").unlink()
    with pytest.raises(InvalidArgumentError, match="no file"):
        list(source.blocks())


@pytest.mark.parametrize("name", ["a" * 300, "a" * 300 + "/a.mp4", "a.mp4/b.mp4", "none.mp4"])
async def test_a_path_that_leads_nowhere(sources: AllowedSources, allowed: Path, name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="no file") as caught:
        await sources.find(f"{allowed.as_uri()}/{name}")
    assert (caught.value.field, caught.value.reason) == ("uri", "NO_SOURCE")


@pytest.mark.parametrize(
    ("error", "kind"),
    [(PermissionError(13, "denied"), PermissionDeniedError), (OSError(5, "I/O"), UnavailableError)],
)
async def test_a_folder_that_can_not_be_listed(
    sources: AllowedSources,
    allowed: Path,
    error: OSError,
    kind: type[AutoISPError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(path: object) -> object:
        raise error

    monkeypatch.setattr(os, "scandir", fails)
    with pytest.raises(kind) as caught:
        await sources.find((allowed / "shot").as_uri())
    assert caught.value.metadata["field"] == "uri"
