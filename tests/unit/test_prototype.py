"""Prototypes and how they and networks are measured."""

import cv2
import numpy as np
import onnx
import pytest
import torch
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.sensor import IDENTITY_CCM, Noise, builtin
from autoisp_core.spec import Spec
from autoisp_isp.classical import ClassicalPrototype, filter_strengths, plain_picture
from autoisp_isp.colour import process, unprocess
from autoisp_isp.evaluation import evaluate, spread_indices
from autoisp_isp.export import export_onnx
from autoisp_isp.metrics import psnr
from autoisp_isp.network import build
from autoisp_isp.prototype import load_prototype, sensor_for
from autoisp_isp.raw import mosaic_of
from autoisp_isp.synthesis import RawClip
from autoisp_testing.scenes import moving_scene

_PHONE = builtin("phone")
_NOISE = Noise(0.01, 0.0005)


def _graph_without_ccm() -> bytes:
    """A prototype as strangers write them: nearest-neighbour demosaic and white balance, no curve."""
    nodes = [
        onnx.helper.make_node("Gather", ["raw", "planes"], ["rgb"], axis=1),
        onnx.helper.make_node("Unsqueeze", ["gains", "axes"], ["factors"]),
        onnx.helper.make_node("Mul", ["rgb", "factors"], ["balanced"]),
        onnx.helper.make_node("Resize", ["balanced", "", "scales"], ["srgb"], mode="nearest"),
    ]
    constants = [
        onnx.numpy_helper.from_array(np.array([0, 1, 3]), "planes"),
        onnx.numpy_helper.from_array(np.array([2, 3]), "axes"),
        onnx.numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"),
    ]
    real = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "stranger",
        [
            onnx.helper.make_tensor_value_info("raw", real, ["n", 4, "h", "w"]),
            onnx.helper.make_tensor_value_info("gains", real, ["n", 3]),
        ],
        [onnx.helper.make_tensor_value_info("srgb", real, ["n", 3, "H", "W"])],
        constants,
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def test_the_plain_picture_has_the_colours_of_the_reference_maths() -> None:
    gains, ccm = torch.tensor(_PHONE.gains), torch.tensor(_PHONE.ccm)
    smooth = cv2.GaussianBlur(moving_scene(1, 64, 64)[0], (0, 0), 4)
    camera = unprocess(torch.from_numpy(smooth).permute(2, 0, 1) / 255.0, gains, ccm)
    picture = plain_picture(mosaic_of(camera).numpy(), gains.numpy(), ccm.numpy())
    rgb = picture[..., ::-1].transpose(2, 0, 1).astype(np.float32) / 255
    assert psnr(np.ascontiguousarray(rgb), process(camera, gains, ccm).numpy()) > 40


def test_the_classical_prototype_removes_noise() -> None:
    prototype = load_prototype("builtin:classical")
    assert prototype.frames == 3
    assert prototype.macs_per_pixel is None
    sample = RawClip(moving_scene(3, 64, 96), _PHONE, "d", 0).sample(2, 3, _NOISE)
    arrays = [value.numpy() for value in (sample.raw, sample.gains, sample.ccm, sample.noise)]
    developed = prototype.run(*arrays)
    assert developed.dtype == np.float32
    assert developed.shape == (3, 64, 96)
    noisy = plain_picture(arrays[0][-1], arrays[1], arrays[2])[..., ::-1].transpose(2, 0, 1) / np.float32(255)
    truth = sample.truth.numpy()
    assert psnr(developed, truth) > psnr(np.ascontiguousarray(noisy), truth) + 2


def test_its_strength_follows_the_noise() -> None:
    gains, ccm = np.array(_PHONE.gains, np.float32), np.array(_PHONE.ccm, np.float32)
    strengths = [
        filter_strengths(gains, ccm, np.array(noise, np.float32))[0]
        for noise in ((1e-4, 0), (1e-3, 1e-5), (0.01, 5e-4))
    ]
    assert 0 < strengths[0] < strengths[1] < strengths[2] < 60
    identity = filter_strengths(gains, np.array(IDENTITY_CCM, np.float32), np.array([0.01, 5e-4], np.float32))
    assert identity[0] < strengths[2]


def test_an_onnx_prototype_without_ccm_is_searched_on_the_identity() -> None:
    prototype = load_prototype("onnx:stranger.onnx", _graph_without_ccm())
    assert prototype.frames == 1
    assert set(prototype.inputs) == {"raw", "gains"}
    assert prototype.macs_per_pixel == 0
    assert sensor_for(prototype, _PHONE).has_identity_ccm
    assert sensor_for(load_prototype("builtin:classical"), _PHONE) == _PHONE
    raw = np.full((1, 4, 8, 8), 0.9, np.float32)
    developed = prototype.run(
        raw, np.array(_PHONE.gains, np.float32), np.eye(3, dtype=np.float32), np.zeros(2, np.float32)
    )
    assert developed.shape == (3, 16, 16)
    # The graph itself gives 1.8 in red.
    assert developed.max() == 1.0


@pytest.mark.parametrize("name", ["builtin:modern", "classical", "onnx:missing.onnx", "file.onnx"])
def test_unknown_prototypes_are_refused(name: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        load_prototype(name)
    assert caught.value.field == "prototype"


def test_bytes_that_are_no_onnx_are_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        load_prototype("onnx:text.onnx", b"this is a text")


def test_prototype_and_exported_network_are_measured_alike() -> None:
    frames = moving_scene(4, 49, 64)
    network = load_prototype(
        "onnx:net.onnx", export_onnx(build(Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), 8)))
    )
    for developer in (ClassicalPrototype(), network):
        results = list(evaluate(developer, frames, _PHONE, _NOISE, 0, [0, 3], "digest"))
        assert [result.index for result in results] == [0, 3]
        assert all(10 < result.psnr < 50 and 0 < result.ssim < 1 and result.seconds > 0 for result in results)
        again = list(evaluate(developer, frames, _PHONE, _NOISE, 0, [3], "digest"))
        assert again[0].psnr == pytest.approx(results[1].psnr, abs=1e-4)


def test_noise_levels_take_turns() -> None:
    loud, quiet = Noise(0.01, 0.0005), Noise(1e-4, 1e-8)
    results = list(evaluate(ClassicalPrototype(), moving_scene(3), _PHONE, [loud, quiet], 0, [0, 1, 2]))
    assert results[1].psnr > max(results[0].psnr, results[2].psnr) + 2


def test_frames_are_spread_over_the_clip() -> None:
    assert spread_indices(121, 3) == [0, 60, 120]
    assert spread_indices(2, 8) == [0, 1]
    assert spread_indices(9, 1) == [4]
    with pytest.raises(InvalidArgumentError):
        spread_indices(0, 4)
