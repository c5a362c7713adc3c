"""How far an upload is, on a terminal."""

from __future__ import annotations

import sys
from pathlib import Path

from autoisp.ingest.v1 import ingest_pb2
from autoisp_client import Client, UploadProgress
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn


def upload_with_bar(client: Client, path: Path) -> ingest_pb2.Clip:
    """Uploads one clip; shows a bar with the rate if the error output is a terminal, and else nothing."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    with bar:
        task = bar.add_task(path.name, total=None, rate="")

        def show(progress: UploadProgress) -> None:
            whole = progress.sent_bytes == progress.size_bytes
            bar.update(
                task,
                total=progress.size_bytes,
                completed=progress.sent_bytes,
                rate="decoding …" if whole else rate_text(progress),
            )

        return client.upload_clip(path, on_progress=show)


def rate_text(progress: UploadProgress) -> str:
    """``12.3 MB/s``; empty before there is anything to go by."""
    return f"{progress.megabytes_per_second:.1f} MB/s" if progress.bytes_per_second else ""


def progress_text(name: str, progress: UploadProgress) -> str:
    """``bikes  45 % of 12.3 MB, 80.1 MB/s``; when all is sent, what the server does with it."""
    size = f"{progress.size_bytes / 1e6:.1f} MB"
    if progress.sent_bytes == progress.size_bytes:
        return f"{name}  {size} sent, being decoded"
    rate = rate_text(progress)
    return f"{name}  {progress.fraction:.0%} of {size}" + (f", {rate}" if rate else "")
