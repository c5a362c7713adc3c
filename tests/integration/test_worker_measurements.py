"""Profiles and evaluations as the worker makes them, without the bus."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp_core.artifact import Artifact
from autoisp_core.spec import cost
from autoisp_isp.export import export_onnx
from autoisp_isp.network import build
from autoisp_worker import wire
from autoisp_worker.compute import StopRequest
from autoisp_worker.config import WorkerConfig
from autoisp_worker.domain import Failure, PrototypeProfile
from autoisp_worker.domain_evaluation import ClipResult
from autoisp_worker.jobs import LocalJobs
from autoisp_worker.tools import Tools
from onnx import TensorProto, helper
from worker_jobs import CLASSICAL, RECURRENT, SPEC, Footage, reference


@pytest.fixture
def footage(tmp_path: Path) -> Footage:
    return Footage.make(tmp_path)


def jobs(footage: Footage) -> LocalJobs:
    return LocalJobs(Tools.of(WorkerConfig(profile_seconds=1.0), footage.store))


def profile(footage: Footage, prototype: prototype_pb2.Prototype) -> PrototypeProfile | Failure:
    return jobs(footage).profile(wire.profile_job(footage.profile(prototype)), StopRequest())


def judge(footage: Footage, *subjects: evaluation_pb2.Subject, **changes: object) -> ClipResult:
    job = wire.evaluation_job(footage.evaluation(*subjects, **changes))
    return jobs(footage).judge(job, StopRequest(), lambda take: None)


def network(footage: Footage) -> Artifact:
    return footage.store.put_bytes(export_onnx(build(SPEC)))


def bilinear(footage: Footage, *inputs: str) -> Artifact:
    """The cheapest graph of the contract: red, first green and blue plane, enlarged; other inputs unused."""
    shapes = {"raw": ["N", 4, "h", "w"], "gains": ["N", 3], "noise": ["N", 2], "temperature": ["N", 1]}
    weight = np.zeros((3, 4, 1, 1), np.float32)
    weight[0, 0] = weight[1, 1] = weight[2, 3] = 1.0
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["raw", "weight"], ["planes"]),
            helper.make_node("Resize", ["planes", "", "scales"], ["srgb"], mode="linear"),
        ],
        "bilinear",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name]) for name in ("raw", *inputs)],
        [helper.make_tensor_value_info("srgb", TensorProto.FLOAT, ["N", 3, "H", "W"])],
        [
            onnx.numpy_helper.from_array(weight, "weight"),
            onnx.numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return footage.store.put_bytes(model.SerializeToString())


def test_the_classical_prototype_is_opaque_and_its_time_is_its_cost(footage: Footage) -> None:
    measured = profile(footage, CLASSICAL)

    assert isinstance(measured, PrototypeProfile)
    assert measured.cost.macs_per_pixel is None
    assert measured.cost.seconds_per_megapixel > 0.5
    assert measured.frames == 3
    assert set(measured.inputs) == {"raw", "gains", "ccm", "noise"}
    assert 15 < measured.quality.psnr_db < 40
    assert 0 < measured.quality.ssim < 1


def test_an_onnx_prototype_is_counted(footage: Footage) -> None:
    measured = profile(footage, prototype_pb2.Prototype(onnx=reference(bilinear(footage, "gains"))))

    assert isinstance(measured, PrototypeProfile)
    assert measured.cost.macs_per_pixel == 3.0  # 3 × 4 weights for each of a quarter of the pixels
    assert measured.cost.parameters > 0
    assert measured.cost.size_bytes > 0
    assert measured.inputs == ("raw", "gains")


def test_a_recurrent_prototype_is_profiled(footage: Footage) -> None:
    graph = footage.store.put_bytes(export_onnx(build(RECURRENT)))

    measured = profile(footage, prototype_pb2.Prototype(onnx=reference(graph)))

    assert isinstance(measured, PrototypeProfile)
    assert measured.cost.macs_per_pixel == cost(RECURRENT).macs_per_pixel
    assert measured.cost.seconds_per_megapixel > 0
    assert (measured.frames, measured.inputs) == (1, ("raw", "gains", "ccm", "noise"))
    assert measured.quality.psnr_db > 10


@pytest.mark.parametrize("data", [b"no ONNX at all", b""])
def test_a_prototype_that_is_no_onnx_fails_clearly(footage: Footage, data: bytes) -> None:
    failure = profile(footage, prototype_pb2.Prototype(onnx=reference(footage.store.put_bytes(data))))

    assert isinstance(failure, Failure)
    assert failure.reason == "INVALID_ARGUMENT"


def test_a_prototype_with_a_wrong_input_is_told_which_and_what_is_allowed(footage: Footage) -> None:
    failure = profile(footage, prototype_pb2.Prototype(onnx=reference(bilinear(footage, "temperature"))))

    assert isinstance(failure, Failure)
    assert "'temperature'" in failure.message
    assert "gains (N, 3)" in failure.message


def test_an_unknown_builtin_fails_clearly(footage: Footage) -> None:
    failure = profile(footage, prototype_pb2.Prototype(builtin="nonesuch"))

    assert isinstance(failure, Failure)
    assert "nonesuch" in failure.message
    assert "builtin:classical" in failure.message


def test_subjects_are_judged_on_the_same_frames_and_shown(footage: Footage) -> None:
    onnx_artifact = reference(network(footage))
    subjects = [evaluation_pb2.Subject(label=label, onnx=onnx_artifact) for label in ("model", "model-again")]

    result = judge(footage, *subjects)

    assert result.failure is None
    first, second = result.subjects
    assert [frame.frame for frame in first.frames] == [0, 2, 5]
    assert first.frames == second.frames
    assert first.quality.psnr_db == pytest.approx(np.mean([frame.values["psnr"] for frame in first.frames]))
    assert {picture.kind for picture in result.pictures} == {"noisy", "truth", "model", "model-again"}
    for picture in result.pictures:
        pixels = cv2.imdecode(np.frombuffer(footage.store.get_bytes(picture.png), np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        assert pixels.shape == (64, 96, 3)  # the whole small frame


def test_frames_count_from_the_clips_start_and_zero_means_all(footage: Footage) -> None:
    footage.entries["c"].first_frame = 2

    result = judge(
        footage, evaluation_pb2.Subject(label="m", onnx=reference(network(footage))), frames_per_clip=0
    )

    assert [frame.frame for frame in result.subjects[0].frames] == [2, 3, 4, 5]


def test_a_prototype_that_knows_no_colour_matrix_makes_everybodys_the_identity(footage: Footage) -> None:
    model = evaluation_pb2.Subject(label="model", onnx=reference(network(footage)))
    prototype = evaluation_pb2.Subject(
        label="prototype", prototype=prototype_pb2.Prototype(onnx=reference(bilinear(footage)))
    )

    alone, beside = judge(footage, model), judge(footage, model, prototype)

    assert alone.subjects[0].quality != beside.subjects[0].quality


def test_a_clip_that_can_t_be_read_fails_alone(footage: Footage) -> None:
    footage.store.delete_prefix("clips/c")

    result = judge(footage, evaluation_pb2.Subject(label="m", onnx=reference(network(footage))))

    assert result.clip == "clips/c"
    assert result.failure is not None
    assert result.failure.reason == "CLIP_MISSING"
    assert not result.subjects


def test_a_subject_that_is_no_network_fails_the_clip_with_its_reason(footage: Footage) -> None:
    broken = reference(footage.store.put_bytes(b"no ONNX"))

    result = judge(footage, evaluation_pb2.Subject(label="m", onnx=broken))

    assert result.failure is not None
    assert "not a valid ONNX model" in result.failure.message
