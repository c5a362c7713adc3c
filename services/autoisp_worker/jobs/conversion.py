"""Making the edge formats of a model version, judging each against the registered file, and linting it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from autoisp_core.errors import AutoISPError, FailedPreconditionError
from autoisp_core.lint import shipped_names
from autoisp_isp.contract import check_contract
from autoisp_isp.edge import EXECUTORCH, FP32, INT8, Made, no_footage
from autoisp_isp.edge.shots import CalibrationFrame, synthetic_frames
from autoisp_isp.edge.workshop import make_isolated
from autoisp_isp.isolated import IsolatedNetwork
from autoisp_isp.lint import lint

from autoisp_worker import wire
from autoisp_worker.compute import StopReason, StopRequest
from autoisp_worker.domain import ClipRange, Failure, Split
from autoisp_worker.domain_conversion import Conversion, ConversionJob, EdgeFormat
from autoisp_worker.frames import Frames
from autoisp_worker.jobs.calibration import calibration_frames
from autoisp_worker.jobs.faults import StoppedError, check_stop, failure_of
from autoisp_worker.jobs.format_judging import Marks, judge_formats
from autoisp_worker.jobs.subjects import THREADS, OpenSubject
from autoisp_worker.jobs.timing import HEIGHT, WIDTH, seconds_per_megapixel
from autoisp_worker.tools import Tools

_MAKE_LIMIT_S = 900.0
_TIMING_SECONDS = 2.0
_ONNX = "application/onnx"
_PROGRAM = "application/vnd.executorch"
_PROGRAM_DEVICE = "xnnpack-cpu"

T = TypeVar("T")


def convert(job: ConversionJob, tools: Tools, stop: StopRequest) -> Conversion:
    """Make, judge and lint all formats that were asked for; what fails of one is said there.

    Raises:
        AutoISPError: transient, or this worker stops; another attempt may succeed.
    """
    nothing = Conversion(job.model_version, job.conversion_id)
    try:
        with ExitStack() as opened:
            return replace(nothing, formats=_Conversion(job, tools, stop, opened).run())
    except StoppedError as error:
        return replace(nothing, failure=_stopped(error))
    except Exception as error:
        return replace(nothing, failure=failure_of(error))


def _stopped(error: StoppedError) -> Failure:
    match error.stop_reason:
        case StopReason.SHUTDOWN:
            raise error
        case StopReason.TIME_LIMIT:
            return Failure(
                "TIME_LIMIT",
                "the conversion took longer than AUTOISP_CONVERSION_LIMIT_SECONDS; judge fewer frames, or "
                "raise the limit",
            )
        case StopReason.CANCELLED:
            return Failure("CANCELLED", "the conversion was cancelled")


@dataclass(frozen=True)
class _Footage:
    """What formats are calibrated with and judged on.

    Attributes:
        frames: to calibrate with; synthetic ones where there are none of a clip.
        missing: why there are none of a clip; None: they are real.
        test: clips.
    """

    frames: Sequence[CalibrationFrame]
    missing: Failure | None
    test: Sequence[ClipRange]


class _Conversion:
    """One job; a format that failed is among `failures`, and no more is done with it."""

    def __init__(self, job: ConversionJob, tools: Tools, stop: StopRequest, opened: ExitStack) -> None:
        self._job, self._tools, self._stop, self._opened = job, tools, stop, opened
        self._failures: dict[str, Failure] = {}
        self._unread = ""

    def run(self) -> tuple[EdgeFormat, ...]:
        self._check()
        onnx = self._tools.store.get_bytes(self._job.onnx)
        reference = self._open(onnx)
        footage = self._footage(onnx, reference)
        made = self._each(self._job.formats, lambda name: self._make(name, onnx, footage))
        judged = {FP32: reference} | self._each(
            [name for name in made if name != FP32],
            lambda name: self._open(made[name].judged or made[name].data),
        )
        marks, self._unread = judge_formats(self._job, footage.test, judged, self._tools, self._stop)
        if (why := marks[FP32].failure) is not None:
            raise FailedPreconditionError(
                f"the registered file can't be judged: {why.message}", reason=why.reason
            )
        self._failures |= {name: mark.failure for name, mark in marks.items() if mark.failure is not None}
        shipped = self._each(self._able(made), lambda name: self._shipped(made[name], judged[name]))
        seconds = self._seconds(made, shipped)
        formats = self._each(
            self._able(made),
            lambda name: self._format(name, made[name], marks, shipped[name], seconds[name]),
        )
        return tuple(
            formats[name] if name in formats else EdgeFormat(name, failure=self._failures[name])
            for name in self._job.formats
        )

    def _each(self, names: Iterable[str], work: Callable[[str], T]) -> dict[str, T]:
        """Does it for every format, and notes which of them fail."""
        done = {}
        for name in names:
            self._check()
            try:
                done[name] = work(name)
            except StoppedError:
                raise
            except Exception as error:
                self._failures[name] = failure_of(error)
        return done

    def _able(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name not in self._failures]

    def _check(self) -> None:
        check_stop(self._stop)

    def _open(self, onnx: bytes) -> OpenSubject:
        network = IsolatedNetwork(
            onnx,
            THREADS,
            limit_s=self._tools.frame_limit_seconds,
            memory_bytes=self._tools.network_memory_bytes,
            on_wait=self._check,
        )
        self._opened.enter_context(network)
        return OpenSubject(network, network.cost, len(onnx))

    def _footage(self, onnx: bytes, reference: OpenSubject) -> _Footage:
        job, tools = self._job, self._tools
        synthetic = synthetic_frames(check_contract(onnx, field="model"), job.sensor, job.seed)
        if job.manifest is None:
            return _Footage(synthetic, failure_of(no_footage()), ())
        clips = wire.manifest(tools.store.get_bytes(job.manifest))
        train, test = ([clip for clip in clips if clip.split is split] for split in (Split.TRAIN, Split.TEST))
        try:
            frames = calibration_frames(job, train, reference.developer, tools, self._stop)
        except StoppedError:
            raise
        except AutoISPError as error:
            return _Footage(synthetic, failure_of(error), test)
        return _Footage(frames, None, test)

    def _make(self, name: str, onnx: bytes, footage: _Footage) -> Made:
        if name == FP32:
            return Made(onnx, note="as it was registered")
        if name == INT8 and footage.missing is not None:
            raise FailedPreconditionError(footage.missing.message, reason=footage.missing.reason)
        return make_isolated(
            name,
            onnx,
            footage.frames,
            truth=footage.missing is None,
            limit_s=_MAKE_LIMIT_S,
            memory_bytes=self._tools.network_memory_bytes,
            on_wait=self._check,
        )

    def _shipped(self, made: Made, judged: OpenSubject) -> OpenSubject:
        """What the cost is of: the file itself, where pictures came from a twin."""
        if made.seconds_per_megapixel is not None:
            return replace(judged, size_bytes=len(made.data))
        return self._open(made.data) if made.judged is not None else judged

    def _seconds(self, made: Mapping[str, Made], shipped: Mapping[str, OpenSubject]) -> dict[str, float]:
        known = {
            name: one.seconds_per_megapixel
            for name, one in made.items()
            if one.seconds_per_megapixel is not None
        }
        developers = {name: one.developer for name, one in shipped.items() if name not in known}
        if not developers:
            return known
        return known | seconds_per_megapixel(
            developers, [_shade()], self._job.sensor, seconds=_TIMING_SECONDS
        )

    def _format(
        self, name: str, made: Made, marks: Mapping[str, Marks], shipped: OpenSubject, seconds: float
    ) -> EdgeFormat:
        losses = marks[name].losses(marks[FP32])
        program = name == EXECUTORCH
        return EdgeFormat(
            name,
            artifact=self._tools.store.put_bytes(made.data, _PROGRAM if program else _ONNX),
            quality=marks[name].quality(),
            psnr_loss_db=losses and losses[0],
            shadow_loss_db=losses and losses[1],
            cost=shipped.cost(seconds),
            note="; ".join(filter(None, (made.note, self._unread))),
            # The lint reads ONNX: of a program, what it was made of.
            lints=lint(made.judged or made.data, [_PROGRAM_DEVICE])
            if program
            else lint(made.data, shipped_names()),
        )


def _shade() -> Frames:
    """A frame to time with: what it shows makes no difference."""
    row = np.linspace(0, 255, WIDTH).astype(np.uint8)
    return np.broadcast_to(row[None, :, None], (HEIGHT, WIDTH, 3))
