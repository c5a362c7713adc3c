"""A service's answer in the words of the command line: the option instead of the message's field."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from autoisp.common.v1 import common_pb2
from autoisp_core.errors import (
    AutoISPError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
)

_OPTIONS = (
    ("search.budget.reduction", "--reduction"),
    ("search.budget.macs_per_pixel", "--budget-macs"),
    ("search.budget", "--reduction"),
    ("search.prototype", "--prototype"),
    ("prototype", "--prototype"),
    ("search.sensor.test_noise", "--noise"),
    ("search.sensor", "--sensor"),
    ("sensor", "--sensor"),
    ("search.strategy", "--strategy"),
    ("search.seed", "--seed"),
    ("search.objectives", "--objectives"),
    ("search.max_duration", "--minutes"),
    ("search.max_trials", "--trials"),
    ("search.warm_start", "--warm-start"),
    ("search.training.augmentation", "--augment"),
    ("search.training.distillation", "--distill"),
    ("search.training.feature_distillation", "--distill-features"),
    ("search.training.inherit_weights", "--inherit"),
    ("search.space", "--space"),
    ("search.max_parallel_trials", "--workers"),
    ("search.rungs", "--rung"),
    ("search.model", "--model"),
    ("search.test_frames_per_clip", "--test-frames"),
    ("search.gate", "--gate"),
    ("search.dataset", "--footage"),
    ("clips", "--footage"),
    ("evaluation.dataset", "--dataset"),
    ("evaluation.split", "--split"),
    ("evaluation.subjects", "--subject"),
    ("evaluation.metrics", "--metrics"),
    ("evaluation.gate", "--gate"),
    ("evaluation.frames_per_clip", "--frames"),
    ("evaluation.sensor.test_noise", "--noise"),
    ("evaluation.sensor", "--sensor"),
    ("evaluation.seed", "--seed"),
    ("gate", "--gate"),
    ("margins", "--margin"),
    ("baseline_evaluation", "--baseline-evaluation"),
    ("baseline", "--baseline"),
    ("subject", "--subject"),
)
_OUR_FAULT = frozenset(
    {"INTERNAL", "UNKNOWN", "WORKER_CRASHED", "OUT_OF_MEMORY", "ALL_TRIALS_FAILED", "DELIVERIES_EXHAUSTED"}
)
_FOOTAGE = frozenset({"CLIP_MISSING", "CLIP_UNREADABLE", "EMPTY_SPLIT", "FOOTAGE_UNREADABLE"})
_FEATURES = frozenset({"NO_FEATURES"})
_INPUT = frozenset({"BUDGET_UNREACHABLE", "SPACE_EXHAUSTED"})


def option_of(field: str) -> str:
    """The option that sets a message's field; empty if none does."""
    return next((option for prefix, option in _OPTIONS if field.startswith(prefix)), "")


@contextmanager
def in_options(prefix: str = "") -> Iterator[None]:
    """Names the option in errors of calls made inside; ``prefix`` says which one (``--footage a.mp4``)."""
    try:
        yield
    except (InvalidArgumentError, NotFoundError) as error:
        option = prefix or option_of(error.metadata.get("field", ""))
        if not option:
            raise
        metadata = {**error.metadata, "field": option.split(" ")[0]}
        message = error.message if error.message.startswith("--") else f"{option}: {error.message}"
        raise InvalidArgumentError(
            metadata["field"], message, reason=error.reason, metadata=metadata
        ) from error


def search_failure(name: str, failure: common_pb2.Failure, *, before_trials: bool) -> AutoISPError:
    """Why a search failed: wrong input where the input is to blame, else a failed job.

    Raises nothing; returns an :class:`InvalidArgumentError` or an :class:`InternalError`.
    """
    if failure.reason in _INPUT:
        return InvalidArgumentError("--reduction", f"--reduction: {failure.message}", reason=failure.reason)
    if before_trials and failure.reason not in _OUR_FAULT:
        # Nothing but the prototype and the footage was touched so far.
        option = "--footage" if failure.reason in _FOOTAGE else "--prototype"
        option = "--distill-features" if failure.reason in _FEATURES else option
        return InvalidArgumentError(option, f"{option}: {failure.message}", reason=failure.reason)
    return InternalError(f"{name} failed with {failure.reason}: {failure.message}", reason=failure.reason)


def cancelled(name: str) -> AutoISPError:
    """Somebody else cancelled the search that we watched."""
    return FailedPreconditionError(
        f"{name} was cancelled; run the command again to start another", reason="CANCELLED"
    )
