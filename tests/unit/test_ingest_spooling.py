"""The name by which a process knows its own leftovers, and its configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
from autoisp_ingest.config import IngestConfig
from autoisp_ingest.spooling import DiskSpool, owner_of


def test_the_owner_stays_with_the_folder(tmp_path: Path) -> None:
    first = owner_of(tmp_path / "a")
    assert owner_of(tmp_path / "a") == first
    assert owner_of(tmp_path / "b") != first


def test_an_owner_that_was_not_written_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "owner").touch()
    made = owner_of(tmp_path)
    assert made
    assert owner_of(tmp_path) == made


def test_a_spool_clears_what_a_killed_process_left(tmp_path: Path) -> None:
    (tmp_path / "x.part").write_bytes(b"half")
    spool = DiskSpool(tmp_path, 10)
    assert spool.clear() == 1
    assert list(tmp_path.iterdir()) == []


def test_limits_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOISP_MAX_UPLOAD_BYTES", "1000")
    monkeypatch.setenv("AUTOISP_MAX_FRAME_SIDE", "640")
    monkeypatch.setenv("AUTOISP_MAX_CLIP_FRAMES", "9")
    config = IngestConfig()
    assert config.max_upload_bytes == 1000
    assert (config.limits.max_side, config.limits.max_frames) == (640, 9)
