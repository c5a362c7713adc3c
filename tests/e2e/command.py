"""The ``autoisp`` command as a process, and what it leaves behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
from autoisp_testing.scenes import moving_scene, write_png_folder, write_video

ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    # How long a prototype is measured: enough to see that it works.
    "AUTOISP_PROFILE_SECONDS": "1",
    "AUTOISP_CHECKPOINT_SECONDS": "1",
}


def autoisp(*words: object, folder: Path, limit: float = 150.0) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end in ``folder``."""
    return subprocess.run(
        [sys.executable, "-m", "autoisp_cli", *map(str, words)],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )


def start(*words: object, folder: Path) -> subprocess.Popen[str]:
    """Starts a command in a process group of its own, as a shell does."""
    return subprocess.Popen(
        [sys.executable, "-m", "autoisp_cli", *map(str, words)],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )


def press_ctrl_c(process: subprocess.Popen[str]) -> None:
    """What a terminal does: SIGINT to the whole foreground group."""
    os.killpg(process.pid, signal.SIGINT)


def make_footage(folder: Path) -> Path:
    """Two videos and a folder of frames, tiny."""
    folder.mkdir(parents=True)
    write_video(folder / "alley.mp4", moving_scene(30, 80, 112, seed=1))
    write_video(folder / "beach.mp4", moving_scene(26, 72, 96, seed=2, speed=(1.0, -0.5)))
    write_png_folder(folder / "zebra", moving_scene(8, 64, 96, seed=3, speed=(0.0, 2.0)))
    return folder


def processes_of(state: Path) -> list[str]:
    """Command lines of the processes that work in a state folder."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            mine = str(state) in " ".join(words) or process.environ().get("AUTOISP_STATE_DIR") == str(state)
        except psutil.Error:  # gone meanwhile, or not ours
            continue
        if mine:
            found.append(" ".join(words))
    return found


def assert_nothing_left(state: Path, within: float = 0.0) -> None:
    """No process of the state folder is left after so many seconds."""
    deadline = time.monotonic() + within
    while (left := processes_of(state)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []
