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


def test_a_spool_keeps_what_can_be_resumed_and_clears_the_rest(tmp_path: Path) -> None:
    digest = "a" * 64
    (tmp_path / "taken-1.part").write_bytes(b"half")
    (tmp_path / f"{digest}-10.part").write_bytes(b"half")
    spool = DiskSpool(tmp_path, IngestConfig().spool_limits)
    assert spool.clear() == 1
    found = spool.find(digest)
    assert found
    assert (found.size_bytes, found.received_bytes, found.clip) == (10, 4, "")


def test_limits_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOISP_MAX_UPLOAD_BYTES", "1000")
    monkeypatch.setenv("AUTOISP_SPOOL_BYTES", "3000")
    monkeypatch.setenv("AUTOISP_UPLOAD_TTL_SECONDS", "60")
    monkeypatch.setenv("AUTOISP_MIN_UPLOAD_BYTES_PER_SECOND", "7")
    monkeypatch.setenv("AUTOISP_MAX_FRAME_SIDE", "640")
    monkeypatch.setenv("AUTOISP_MAX_CLIP_FRAMES", "9")
    config = IngestConfig()
    spool = config.spool_limits
    assert (spool.file_bytes, spool.spool_bytes, spool.ttl_seconds) == (1000, 3000, 60)
    assert spool.pace.bytes_per_second == 7
    assert config.housekeeping_seconds == 15
    assert (config.limits.max_side, config.limits.max_frames) == (640, 9)
