"""Trials as the worker runs them: real training on tiny footage, without the bus."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from autoisp.search.v1 import search_pb2
from autoisp_core.errors import DataLossError
from autoisp_core.spec import Spec, cost
from autoisp_isp.checkpoint import load_checkpoint
from autoisp_isp.contract import check_contract
from autoisp_worker import wire
from autoisp_worker.compute import StopReason, StopRequest
from autoisp_worker.config import WorkerConfig
from autoisp_worker.domain import TrialProgress, TrialResult, TrialState
from autoisp_worker.jobs import LocalJobs
from autoisp_worker.jobs.faults import StoppedError
from autoisp_worker.results import Checkpoints
from autoisp_worker.tools import Tools
from structlog.testing import capture_logs
from worker_jobs import RECURRENT, SPEC, Footage, reference

TRIAL = "searches/s/trials/r0-0000"


@pytest.fixture
def footage(tmp_path: Path) -> Footage:
    return Footage.make(tmp_path)


class StoppedSoon(StopRequest):
    """Asked to stop at the fifth time that somebody looks."""

    def __init__(self, reason: StopReason = StopReason.SHUTDOWN) -> None:
        super().__init__()
        self._looks = 0
        self._coming = reason

    def __bool__(self) -> bool:
        self._looks += 1
        if self._looks == 5:
            self.request(self._coming)
        return super().__bool__()


def run(
    footage: Footage, stop: StopRequest | None = None, *, checkpoint_seconds: float = 60.0, **changes: object
) -> TrialResult:
    config = WorkerConfig(worker_id="tester", checkpoint_seconds=checkpoint_seconds)
    jobs = LocalJobs(Tools.of(config, footage.store))
    job = wire.trial_job(footage.trial(**changes))
    return jobs.trial(job, StopRequest() if stop is None else stop, lambda progress: None)


def test_a_trial_leaves_a_measured_network_and_its_weights(footage: Footage) -> None:
    result = run(footage)

    assert (result.state, result.failure, result.steps) == (TrialState.SUCCEEDED, None, 20)
    assert result.worker == "tester"
    assert result.start_time < result.end_time
    assert result.train_seconds > 0
    assert result.cost is not None
    assert result.cost.macs_per_pixel == cost(SPEC).macs_per_pixel
    assert result.cost.seconds_per_megapixel > 0
    assert result.quality is not None
    assert 10 < result.quality.psnr_db < 50
    assert result.onnx is not None
    model = onnx.load_model_from_string(footage.store.get_bytes(result.onnx))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata["autoisp.trial"] == TRIAL
    assert Spec.from_json(metadata["autoisp.spec"]) == SPEC


def test_a_recurrent_trial_leaves_a_network_that_carries_its_state(footage: Footage) -> None:
    result = run(footage, spec=RECURRENT.to_json(), seconds_per_megapixel_limit=100.0)

    assert (result.state, result.failure, result.steps) == (TrialState.SUCCEEDED, None, 20)
    assert result.cost is not None
    assert result.cost.macs_per_pixel == cost(RECURRENT).macs_per_pixel
    assert result.onnx is not None
    contract = check_contract(footage.store.get_bytes(result.onnx))
    assert [(state.name, state.divisor) for state in contract.states] == [("state", 2), ("state_valid", None)]
    assert contract.states[0].channels == RECURRENT.width


def test_an_interrupted_recurrent_trial_ends_as_if_nothing_had_happened(footage: Footage) -> None:
    uninterrupted = run(footage, spec=RECURRENT.to_json())
    with pytest.raises(StoppedError):
        run(footage, StoppedSoon(), checkpoint_seconds=1e-6, spec=RECURRENT.to_json())

    assert run(footage, spec=RECURRENT.to_json()).onnx == uninterrupted.onnx


def test_the_same_seeds_give_the_same_bytes(footage: Footage) -> None:
    first, second, other = run(footage), run(footage), run(footage, seed=7)

    assert (first.onnx, first.checkpoint, first.quality) == (second.onnx, second.checkpoint, second.quality)
    assert other.onnx != first.onnx


def test_an_interrupted_trial_ends_as_if_nothing_had_happened(footage: Footage) -> None:
    uninterrupted = run(footage)

    with pytest.raises(StoppedError):
        run(footage, StoppedSoon(), checkpoint_seconds=1e-6)
    kept = Checkpoints(footage.store).load(TRIAL)
    assert kept is not None
    assert 0 < load_checkpoint(kept).step < 20
    resumed = run(footage)

    assert resumed.onnx == uninterrupted.onnx
    assert resumed.checkpoint == uninterrupted.checkpoint


@pytest.mark.parametrize(("chosen", "policy"), [("ADVERSARIAL", True), ("RANDOM", False), ("OFF", False)])
def test_patches_are_augmented_as_the_search_says(footage: Footage, chosen: str, policy: bool) -> None:
    training = search_pb2.Training(augmentation=search_pb2.Augmentation.Value(f"AUGMENTATION_{chosen}"))
    with pytest.raises(StoppedError):
        run(footage, StoppedSoon(), checkpoint_seconds=1e-6, training=training)
    kept = Checkpoints(footage.store).load(TRIAL)
    assert kept is not None
    assert bool(load_checkpoint(kept).augmenter) is policy
    plain = run(footage, trial_id="r0-0001")
    assert (run(footage, training=training).checkpoint == plain.checkpoint) is (chosen == "OFF")


def test_a_training_that_fails_has_told_of_its_policy(footage: Footage) -> None:
    def refuse(progress: TrialProgress) -> None:
        raise DataLossError("no bus")

    training = search_pb2.Training(augmentation=search_pb2.AUGMENTATION_ADVERSARIAL)
    jobs = LocalJobs(Tools.of(WorkerConfig(), footage.store))
    with capture_logs() as lines:
        result = jobs.trial(wire.trial_job(footage.trial(training=training)), StopRequest(), refuse)
    assert result.state is TrialState.FAILED
    assert [line["step"] for line in lines if line["event"] == "augmentation policy"] == [15]


@pytest.mark.parametrize("foreign", [b"no checkpoint", None])
def test_a_checkpoint_of_something_else_is_no_obstacle(footage: Footage, foreign: bytes | None) -> None:
    if foreign is None:
        with pytest.raises(StoppedError):
            run(footage, StoppedSoon(), checkpoint_seconds=1e-6, seed=5)
    else:
        Checkpoints(footage.store).save(TRIAL, foreign)

    assert run(footage).state is TrialState.SUCCEEDED


def test_the_next_rung_starts_from_the_weights_of_the_one_below(footage: Footage) -> None:
    below = run(footage)
    assert below.checkpoint is not None

    from_weights = run(footage, trial_id="r1-0000", initial_checkpoint=reference(below.checkpoint))
    from_scratch = run(footage, trial_id="r1-0001")

    assert from_weights.state is TrialState.SUCCEEDED
    assert from_weights.onnx != from_scratch.onnx


def test_too_many_macs_are_refused_before_any_training(footage: Footage) -> None:
    result = run(footage, macs_per_pixel_limit=100.0)

    assert (result.state, result.steps, result.train_seconds) == (TrialState.PRUNED, 0, 0.0)
    assert result.failure is not None
    assert result.failure.reason == "OVER_MAC_BUDGET"
    assert result.cost is not None
    assert result.cost.macs_per_pixel == cost(SPEC).macs_per_pixel


def test_too_slow_a_network_is_refused_before_any_training(footage: Footage) -> None:
    result = run(footage, seconds_per_megapixel_limit=1e-6)

    assert (result.state, result.steps) == (TrialState.PRUNED, 0)
    assert result.failure is not None
    assert result.failure.reason == "OVER_TIME_BUDGET"


def test_a_network_within_both_limits_is_trained(footage: Footage) -> None:
    result = run(footage, macs_per_pixel_limit=5000.0, seconds_per_megapixel_limit=100.0)

    assert result.state is TrialState.SUCCEEDED


@pytest.mark.parametrize("spec", ["no JSON", Spec(SPEC.block, width=0).to_json()])
def test_a_bad_spec_is_a_result(footage: Footage, spec: str) -> None:
    result = run(footage, spec=spec)

    assert result.state is TrialState.FAILED
    assert result.failure is not None
    assert result.failure.reason == "INVALID_SPEC"


def test_weights_of_another_spec_are_a_result(footage: Footage) -> None:
    other = run(footage, trial_id="r0-0001", spec=Spec(SPEC.block, width=12).to_json())
    assert other.checkpoint is not None

    result = run(footage, initial_checkpoint=reference(other.checkpoint))

    assert (result.state, result.failure and result.failure.reason) == (TrialState.FAILED, "INVALID_ARGUMENT")


def test_an_unreadable_clip_is_a_result(footage: Footage) -> None:
    footage.store.delete_prefix("clips/a")

    result = run(footage)

    assert result.state is TrialState.FAILED
    assert result.failure is not None
    assert result.failure.reason == "CLIP_MISSING"
    assert "clips/a" in result.failure.message


def test_a_cancelled_search_ends_its_trial(footage: Footage) -> None:
    stop = StopRequest()
    stop.request(StopReason.CANCELLED)

    assert run(footage, stop).state is TrialState.CANCELLED
    assert run(footage, StoppedSoon(StopReason.CANCELLED)).state is TrialState.CANCELLED


def test_too_long_a_trial_fails(footage: Footage) -> None:
    result = run(footage, StoppedSoon(StopReason.TIME_LIMIT))

    assert result.state is TrialState.FAILED
    assert result.failure is not None
    assert result.failure.reason == "TIME_LIMIT"


def test_seconds_are_a_fidelity_too_and_progress_is_told(footage: Footage) -> None:
    told: list[TrialProgress] = []
    jobs = LocalJobs(Tools.of(WorkerConfig(), footage.store))
    command = footage.trial(fidelity=search_pb2.Rung(seconds=1.2))

    result = jobs.trial(wire.trial_job(command), StopRequest(), told.append)

    assert result.state is TrialState.SUCCEEDED
    assert 1.2 <= result.train_seconds < 3
    assert [progress.fraction for progress in told] == sorted(progress.fraction for progress in told)
    assert told[-1].fraction == 1.0
    assert np.isfinite(told[-1].loss)
