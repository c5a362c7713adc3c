"""VMAF of a clip, by an ffmpeg that was built with libvmaf."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from autoisp_core.errors import FailedPreconditionError, UnknownError

from autoisp_isp.metrics.picture import CODES, Picture

_LOG, _MESSAGES = "vmaf.json", "messages.txt"
_ASK_SECONDS, _END_SECONDS = 30.0, 600.0
_LAST_WORDS = 500


class Vmaf:
    """VMAF of the frames of one clip, which are fed as they come and judged while they do.

    Both pictures go to ffmpeg as one, one above the other, through one pipe: nothing is kept here or written
    to disk. Scores are there at the end, as VMAF looks at the next frame's motion too. Its default model
    judges 1080p seen from three times the picture's height, on luma only.

    Args:
        height, width: of the pictures.

    Raises:
        FailedPreconditionError: reason NO_VMAF, if there is no such ffmpeg.
    """

    def __init__(self, height: int, width: int) -> None:
        program = ffmpeg_with_vmaf()
        self._folder = Path(tempfile.mkdtemp(prefix="autoisp-vmaf-"))
        self._frames = 0
        with (self._folder / _MESSAGES).open("wb") as messages:
            self._process = subprocess.Popen(
                [program, *_arguments(height, width)],
                cwd=self._folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=messages,
            )

    def add(self, picture: Picture, truth: Picture) -> None:
        """The next frame, (3, H, W) sRGB in [0, 1]; it is rounded to 8 bits."""
        assert self._process.stdin is not None
        both = np.concatenate([picture, truth], axis=1).transpose(1, 2, 0)
        try:
            self._process.stdin.write(np.rint(np.clip(both, 0, 1) * CODES).astype(np.uint8).tobytes())
        except BrokenPipeError:
            self._process.wait(_ASK_SECONDS)
            raise self._failure() from None
        self._frames += 1

    def scores(self) -> list[float]:
        """One score for each frame. Ends the clip.

        Raises:
            UnknownError: reason FFMPEG_FAILED, with ffmpeg's last words.
        """
        assert self._process.stdin is not None
        if not self._frames:
            return []
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            raise self._failure() from None
        log = self._folder / _LOG
        if self._process.returncode != 0 or not log.exists():
            raise self._failure()
        found = [float(frame["metrics"]["vmaf"]) for frame in json.loads(log.read_text())["frames"]]
        if len(found) != self._frames:
            raise self._failure()
        return found

    def close(self) -> None:
        """Ends ffmpeg if it still runs, and removes what it wrote."""
        self._process.kill()
        with suppress(BrokenPipeError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _failure(self) -> UnknownError:
        words = (self._folder / _MESSAGES).read_text(errors="replace").strip()[-_LAST_WORDS:]
        return UnknownError(
            f"ffmpeg could not compute VMAF (exit {self._process.poll()}): {words or 'it said nothing'}",
            reason="FFMPEG_FAILED",
        )


@cache
def ffmpeg_with_vmaf() -> str:
    """The ffmpeg on PATH, else that of the package imageio-ffmpeg, if it has libvmaf.

    Raises:
        FailedPreconditionError: reason NO_VMAF.
    """
    candidates = [shutil.which("ffmpeg")]
    if find_spec("imageio_ffmpeg") is not None:
        with suppress(RuntimeError):
            candidates.append(import_module("imageio_ffmpeg").get_ffmpeg_exe())
    for program in filter(None, candidates):
        with suppress(OSError, subprocess.TimeoutExpired):
            listed = subprocess.run(
                [program, "-hide_banner", "-filters"], capture_output=True, timeout=_ASK_SECONDS, check=False
            )
            if b" libvmaf " in listed.stdout:
                return program
    raise FailedPreconditionError(
        "VMAF needs an ffmpeg with libvmaf: put one on PATH, or install autoisp[vmaf]; or leave vmaf out",
        reason="NO_VMAF",
    )


def _arguments(height: int, width: int) -> list[str]:
    """Raw pictures of double height in, the upper half against the lower, in BT.709 like sRGB; a log out."""
    luma = "scale=out_color_matrix=bt709:out_range=limited,format=yuv444p"
    graph = (
        f"split[a][b];[a]crop={width}:{height}:0:0,{luma}[picture];[b]crop={width}:{height}:0:{height},{luma}[truth];"
        f"[picture][truth]libvmaf=log_fmt=json:log_path={_LOG}:n_threads=1"
    )
    source = [
        "-f",
        "rawvideo",
        "-pixel_format",
        "rgb24",
        "-video_size",
        f"{width}x{2 * height}",
        "-i",
        "pipe:0",
    ]
    quiet = ["-hide_banner", "-loglevel", "error", "-threads", "1", "-filter_threads", "1"]
    return [*quiet, *source, "-lavfi", graph, "-f", "null", "-"]
