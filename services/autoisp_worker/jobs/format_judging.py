"""What each format is worth on the test clips, all of them being shown the same noisy frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import structlog
from autoisp_core.errors import AutoISPError
from autoisp_isp.edge.shadows import shadow_psnr
from autoisp_isp.evaluation import spread_indices
from autoisp_isp.prefetch import Prefetcher
from autoisp_isp.reel import Reel, Shot

from autoisp_worker.compute import StopRequest
from autoisp_worker.domain import ClipRange, Failure, Quality
from autoisp_worker.domain_conversion import ConversionJob
from autoisp_worker.jobs.faults import check_stop, failure_of
from autoisp_worker.jobs.judging import Judging
from autoisp_worker.jobs.subjects import OpenSubject
from autoisp_worker.tools import Tools

_log = structlog.get_logger(__name__)

_METRICS = ("psnr", "ssim")
_AHEAD = 2
_REASON = 200


@dataclass
class Marks:
    """A format's figures of each clip, dB and SSIM, each the mean over its frames; or why there are none."""

    psnr: list[float] = field(default_factory=list)
    ssim: list[float] = field(default_factory=list)
    shadows: list[float] = field(default_factory=list)
    failure: Failure | None = None

    def quality(self) -> Quality | None:
        """Mean over clips; None where none was judged."""
        return Quality(fmean(self.psnr), fmean(self.ssim)) if self.psnr else None

    def losses(self, reference: Marks) -> tuple[float, float] | None:
        """dB against another format, over all pixels and in shadows; None where no clip was judged."""
        if not self.psnr or len(self.psnr) != len(reference.psnr):
            return None
        return fmean(reference.psnr) - fmean(self.psnr), fmean(reference.shadows) - fmean(self.shadows)


def judge_formats(
    job: ConversionJob,
    clips: Sequence[ClipRange],
    formats: Mapping[str, OpenSubject],
    tools: Tools,
    stop: StopRequest,
) -> tuple[dict[str, Marks], str]:
    """Shows every clip to every format; one that fails is out, and the others go on. A clip that can't be
    read is left out.

    Returns:
        The marks of each format, and for people which clips they are without, and why; empty: none.

    Raises:
        StoppedError: asked to.
        AutoISPError: transient.
    """
    marks = {name: Marks() for name in formats}
    unread: list[str] = []
    for clip in clips:
        able = {name: one for name, one in formats.items() if marks[name].failure is None}
        try:
            _judge_clip(job, clip, able, marks, tools, stop)
        except AutoISPError as error:
            if error.transient:
                raise
            _log.warning("formats are judged without a clip", clip=clip.clip, error=str(error))
            unread.append(f"{clip.clip}: {error.message[:_REASON]}")
    return marks, f"judged without {len(unread)} of {len(clips)} test clips ({unread[0]})" if unread else ""


def _judge_clip(
    job: ConversionJob,
    clip: ClipRange,
    formats: Mapping[str, OpenSubject],
    marks: Mapping[str, Marks],
    tools: Tools,
    stop: StopRequest,
) -> None:
    if not formats:
        return
    frames = tools.frames.frames(clip)
    indices = spread_indices(len(frames), job.frames_per_clip or len(frames))
    developers = [one.developer for one in formats.values()]
    reel = Reel(frames, job.sensor, job.seed, clip.digest, indices, developers, tools.threads)
    judgings = {
        name: Judging(name, one, _METRICS, whole=reel.whole, first_frame=clip.first_frame)
        for name, one in formats.items()
    }
    shadows: dict[str, list[float]] = {name: [] for name in formats}
    with Prefetcher(reel, 0, _AHEAD) as shots:
        for position in range(len(reel)):
            shot = shots(position)
            for name, judging in judgings.items():
                check_stop(stop)
                if marks[name].failure is None:
                    _judge_frame(judging, shot, marks[name], shadows[name])
    for name, judging in judgings.items():
        judging.close()
        if marks[name].failure is None:
            marks[name].psnr.append(fmean(frame.values["psnr"] for frame in judging.frames))
            marks[name].ssim.append(fmean(frame.values["ssim"] for frame in judging.frames))
            marks[name].shadows.append(fmean(shadows[name]))


def _judge_frame(judging: Judging, shot: Shot, marks: Marks, shadows: list[float]) -> None:
    try:
        judging.begin(shot)
        picture = judging.finish(shot)
    except AutoISPError as error:
        marks.failure = failure_of(error)
        return
    judging.measure(shot, picture)
    shadows.append(shadow_psnr(picture, shot.truth))
