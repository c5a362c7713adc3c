"""How far a download is, on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from autoisp_client.download import DownloadProgress
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def download_bar(title: str) -> Iterator[Callable[[DownloadProgress], None]]:
    """What downloads tell of themselves, shown as a bar if the error output is a terminal."""
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    with bar:
        task = bar.add_task(title, total=None, rate="")

        def show(progress: DownloadProgress) -> None:
            rate = f"{progress.megabytes_per_second:.1f} MB/s" if progress.bytes_per_second else ""
            bar.update(task, total=progress.size_bytes, completed=progress.received_bytes, rate=rate)

        try:
            yield show
        except KeyboardInterrupt:
            print("what has come is kept; the same command goes on", file=sys.stderr)
            raise
