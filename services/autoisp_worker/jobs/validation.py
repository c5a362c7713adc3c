"""Quality on the validation frames of a dataset."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence

from autoisp_core.artifact import Artifact
from autoisp_core.errors import FailedPreconditionError
from autoisp_core.sensor import SensorProfile
from autoisp_isp.evaluation import Developer, FrameResult, evaluate, spread_indices
from autoisp_runtime.artifacts import ArtifactStore

from autoisp_worker import wire
from autoisp_worker.compute import StopRequest
from autoisp_worker.domain import ClipRange, Quality, Split
from autoisp_worker.frames import FrameCache
from autoisp_worker.jobs.faults import check_stop


def clips_of(store: ArtifactStore, manifest: Artifact, split: Split) -> list[ClipRange]:
    """The clips of one split.

    Raises:
        FailedPreconditionError: there is none.
        NotFoundError, DataLossError, UnavailableError: the manifest can't be had from the store.
    """
    clips = [clip for clip in wire.manifest(store.get_bytes(manifest)) if clip.split is split]
    if not clips:
        raise FailedPreconditionError(
            f"the dataset has no {split.value.lower()} clip; create one with at least one",
            reason="EMPTY_SPLIT",
        )
    return clips


def validate(
    developer: Developer,
    clips: Sequence[ClipRange],
    frames: FrameCache,
    sensor: SensorProfile,
    seed: int,
    frames_per_clip: int,
    stop: StopRequest,
    *,
    seconds: float = math.inf,
) -> Quality:
    """Mean over clips of each clip's mean over evenly spread frames.

    Args:
        developer: what is judged.
        sensor, seed: of the noise: the same ones give the same frames for every developer.
        frames_per_clip: how many to look at.
        seconds: go on for about so long, the clips taking turns; one frame is looked at in any case.

    Raises:
        StoppedError: asked to.
        FailedPreconditionError: the developer's pictures have values that are no numbers.
    """
    give_up_at = time.perf_counter() + seconds
    rounds = [
        evaluate(
            developer,
            content := frames.frames(clip),
            sensor,
            sensor.evaluation_noises(),
            seed,
            _middle_first(spread_indices(len(content), frames_per_clip)),
            clip.digest,
        )
        for clip in clips
    ]
    results: list[list[FrameResult]] = [[] for _ in clips]
    for _ in range(frames_per_clip):
        for done, remaining in zip(results, rounds, strict=True):
            check_stop(stop)
            if results[0] and time.perf_counter() > give_up_at:
                break
            done += [result for result in [next(remaining, None)] if result is not None]
    return mean_quality([done for done in results if done])


def mean_quality(clips: Sequence[Sequence[FrameResult]]) -> Quality:
    """Mean over clips of the means over frames.

    Raises:
        FailedPreconditionError: it is no number.
    """
    psnr = statistics.fmean(statistics.fmean(frame.psnr for frame in clip) for clip in clips)
    ssim = statistics.fmean(statistics.fmean(frame.ssim for frame in clip) for clip in clips)
    if not (math.isfinite(psnr) and math.isfinite(ssim)):
        raise FailedPreconditionError(
            "its pictures have values that are no numbers (NaN or infinite); train it with another seed",
            reason="NOT_FINITE",
        )
    return Quality(psnr, ssim)


def _middle_first(indices: Sequence[int]) -> list[int]:
    """The same indices, the middle one first: when time runs out it stands best for its clip."""
    middle = indices[len(indices) // 2]
    return [middle, *(index for index in indices if index != middle)]
