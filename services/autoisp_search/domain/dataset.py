"""What a search needs to know of a dataset."""

from __future__ import annotations

from dataclasses import dataclass

from autoisp_core.artifact import Artifact


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """A dataset: its manifest, and how many frames each clip gives to a split."""

    manifest: Artifact
    train_frames: tuple[int, ...]
    validation_frames: tuple[int, ...]
    test_frames: tuple[int, ...]
