"""From the paths a user names to the clips that are uploaded."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoisp_client.payload import frame_files
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.media import TAR_SUFFIX, VIDEO_SUFFIXES
from autoisp_core.natural_order import natural_key

from autoisp_cli.tune.faults import in_options


@dataclass(frozen=True)
class Source:
    """One clip on disk: a video file, a tar of frames or a folder of frames."""

    path: Path
    name: str

    def answers_to(self, word: str) -> bool:
        """Whether a user who writes ``word`` means this clip."""
        return word in {self.name, self.path.name, self.path.stem, str(self.path)}


def find_clips(words: Sequence[str], option: str) -> list[Source]:
    """The clips behind files, folders and globs, sorted by name, none twice.

    A folder with frames is one clip; any other stands for the videos, tars and folders of frames in it. A
    file named on its own is the ingest service's to judge.

    Raises:
        InvalidArgumentError: something is not there or can't be read, or nothing is in it; names ``option``.
    """
    paths = [path for word in words for path in _expand(word, option)]
    if not paths:
        raise InvalidArgumentError(option, f"give {option} a video file, a folder of clips or a glob")
    unique = {path.resolve(): path for path in paths}.values()
    ordered = sorted(unique, key=lambda path: (natural_key(path.name), str(path)))
    return _named(ordered)


def _expand(word: str, option: str) -> list[Path]:
    try:
        return _looked_up(word, option)
    except OSError as error:
        raise InvalidArgumentError(
            option,
            f"{option} {error.filename or word}: can't look there: {error.strerror}; check the path and its "
            "permissions",
        ) from error


def _looked_up(word: str, option: str) -> list[Path]:
    path = _expanded(word)
    if path.is_dir():
        return _in_folder(path, option)
    if path.exists():
        return [path]
    if glob.has_magic(word):
        matches = [Path(match) for match in sorted(glob.glob(str(path)))]
        if not matches:
            raise InvalidArgumentError(option, f"{option} {word}: nothing matches; check the pattern")
        return [
            clip for match in matches for clip in (_in_folder(match, option) if match.is_dir() else [match])
        ]
    raise InvalidArgumentError(option, f"{option} {word}: no such file or folder; check the path")


def _in_folder(folder: Path, option: str) -> list[Path]:
    if _frames(folder, option):
        return [folder]
    inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    clips = [
        path
        for path in inside
        if (path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES | {TAR_SUFFIX})
        or (path.is_dir() and _frames(path, option))
    ]
    if not clips:
        raise InvalidArgumentError(
            option,
            f"{option} {folder}: the folder has no clips; put video files, or frames (.png, .tif, raw files) "
            "or folders of frames in it",
        )
    return clips


def _frames(folder: Path, option: str) -> list[Path]:
    with in_options(option):
        return frame_files(folder)


def _named(paths: Sequence[Path]) -> list[Source]:
    """Clips by the shortest name that tells them apart: stem, else file name, else with the folder's name."""

    def names(make: int) -> list[str]:
        return [(path.stem, path.name, f"{path.resolve().parent.name}/{path.name}")[make] for path in paths]

    for make in range(2):
        if len(set(names(make))) == len(paths):
            return [Source(path, name) for path, name in zip(paths, names(make), strict=True)]
    return [Source(path, name) for path, name in zip(paths, names(2), strict=True)]


def separate(footage: Sequence[Source], test: Sequence[str]) -> tuple[list[Source], list[Source]]:
    """Training footage and unseen test clips.

    ``test`` holds paths, or names of clips inside the footage. Without it, the last clip by name is the
    unseen one.

    Raises:
        InvalidArgumentError: a test clip can't be found, or nothing is left to train on.
    """
    if not test:
        if len(footage) < 2:
            raise InvalidArgumentError(
                "--test",
                f"--footage is one clip ({footage[0].name}) and none is left to judge on; "
                "give an unseen clip with --test, or more footage",
            )
        return list(footage[:-1]), [footage[-1]]
    unseen: dict[Path, Source] = {}
    for word in test:
        for source in _test_clips(word, footage):
            unseen[source.path.resolve()] = source
    training = [source for source in footage if source.path.resolve() not in unseen]
    if not training:
        raise InvalidArgumentError(
            "--test", "--test takes all of the footage; leave at least one clip to train on in --footage"
        )
    return training, list(unseen.values())


def _test_clips(word: str, footage: Sequence[Source]) -> list[Source]:
    named = [source for source in footage if source.answers_to(word)]
    if named:
        return named
    if not _is_there(word) and not glob.has_magic(word):
        known = ", ".join(source.name for source in footage)
        raise InvalidArgumentError(
            "--test",
            f"--test {word}: no such path, and no clip of that name in --footage; the clips are {known}",
        )
    return find_clips([word], "--test")


def _is_there(word: str) -> bool:
    try:
        return _expanded(word).exists()
    except OSError:
        # Something is; what is wrong with it comes out when it is looked into.
        return True


def _expanded(word: str) -> Path:
    """The path with `~` resolved; as it is where there is no such home."""
    try:
        return Path(word).expanduser()
    except RuntimeError:
        return Path(word)
