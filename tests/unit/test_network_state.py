"""Recurrent networks: what they remember, and that the exported graph remembers the same."""

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.spec import Spec, cost
from autoisp_isp.contract import check_contract
from autoisp_isp.cost import count_cost
from autoisp_isp.export import export_onnx
from autoisp_isp.network import PixelNetwork, build
from autoisp_isp.network.fusion import Fusion
from torch import Tensor

COARSE = Spec.code((1, 12, 3, 0, 0), (2, 1, 3, 1, 0), (3, 7, 0, 0, 0))
PLAIN = Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), 16, recurrent=1)
CAMERA = {
    "gains": np.array([[2.0, 1.0, 1.7]], np.float32),
    "ccm": np.eye(3, dtype=np.float32)[None],
    "noise": np.array([[0.01, 0.0005]], np.float32),
}


def network_of(spec: Spec) -> PixelNetwork:
    torch.manual_seed(0)
    network = build(spec)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.03 * torch.randn_like(parameter)
    return network


def frames_of(count: int, height: int = 7, width: int = 9) -> Tensor:
    return torch.rand((1, count, 4, height, width), generator=torch.Generator().manual_seed(3))


def developed(network: PixelNetwork, raw: Tensor) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(network(raw, **{name: torch.from_numpy(value) for name, value in CAMERA.items()}))


class Stream:
    """A graph that is run frame by frame."""

    def __init__(self, spec: Spec, network: PixelNetwork, height: int, width: int) -> None:
        self._session = onnxruntime.InferenceSession(export_onnx(network))
        self._frames = spec.frames
        cell = spec.packing // 2
        size = (-(-height // cell), -(-width // cell))
        self.state = np.zeros((1, spec.width, *size), np.float32)
        self.valid = np.zeros((1, 1), np.float32)

    def run(self, window: Tensor) -> np.ndarray:
        raw = window.numpy() if self._frames > 1 else window[:, 0].numpy()
        fed = {"raw": raw, "state": self.state, "state_valid": self.valid, **CAMERA}
        srgb, self.state, self.valid = self._session.run(["srgb", "state_out", "state_valid_out"], fed)
        return np.asarray(srgb)


@pytest.mark.parametrize("block", [PLAIN.block, COARSE], ids=["plain", "coarse"])
@pytest.mark.parametrize(("packing", "frames"), [(2, 1), (2, 3), (4, 1), (4, 5), (8, 3)])
def test_every_frame_of_a_stream_is_what_torch_gives_for_all_frames_up_to_it(
    block: tuple, packing: int, frames: int
) -> None:
    spec = replace(PLAIN, block=block, packing=packing, frames=frames)
    network, raw = network_of(spec), frames_of(frames + 4)
    stream = Stream(spec, network, 7, 9)
    for end in range(frames, raw.shape[1] + 1):
        srgb = stream.run(raw[:, end - frames : end])
        np.testing.assert_allclose(srgb, developed(network, raw[:, :end]), atol=1e-5)
        assert stream.valid.tolist() == [[1.0]]


def test_an_invalid_state_gives_exactly_what_the_frame_alone_gives() -> None:
    network, raw = network_of(PLAIN), frames_of(8)
    stream = Stream(PLAIN, network, 7, 9)
    first = stream.run(raw[:, :3])
    np.testing.assert_allclose(first, developed(network, raw[:, :3]), atol=1e-5)
    remembered = stream.run(raw[:, :3])
    assert np.abs(remembered - stream.run(raw[:, 5:8])).max() > 0.01
    stream.valid = np.zeros((1, 1), np.float32)  # a scene cut; the state holds something else
    np.testing.assert_array_equal(stream.run(raw[:, :3]), first)


def test_the_past_matters() -> None:
    network, raw = network_of(PLAIN), frames_of(8)
    assert np.abs(developed(network, raw) - developed(network, raw[:, -3:])).max() > 0.01


def test_it_starts_trusting_what_has_not_changed_and_not_what_has() -> None:
    fusion, fresh = Fusion(8), torch.zeros(1, 8, 9, 9)
    with torch.no_grad():
        assert torch.equal(fusion(fresh, fresh), fresh)
        middle = (0, 0, 4, 4)  # at the border fewer pixels have changed
        little, much = (float(fusion(fresh, fresh + change)[middle]) / change for change in (0.05, 0.5))
    assert little > 0.6
    assert much < 0.1


def test_refuses_fewer_frames_than_its_window_has() -> None:
    with pytest.raises(InvalidArgumentError, match="takes 3 frames or more, not 2") as caught:
        developed(build(PLAIN), frames_of(2))
    assert caught.value.field == "raw"


@pytest.mark.parametrize(
    ("packing", "rows", "columns"), [(2, "h", "w"), (4, "h/2", "w/2"), (8, "h/4", "w/4")]
)
def test_the_graph_names_the_size_of_its_state(packing: int, rows: str, columns: str) -> None:
    spec = replace(PLAIN, packing=packing)
    model = export_onnx(build(spec))
    onnx.checker.check_model(onnx.load_model_from_string(model), full_check=True)
    graph = onnx.load_model_from_string(model).graph
    named = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert named["state"] == named["state_out"] == ["N", 16, rows, columns]
    assert named["state_valid"] == named["state_valid_out"] == ["N", 1]
    assert check_contract(model).recurrent
    assert cost(spec).state_bytes_per_pixel == count_cost(model).state_bytes_per_pixel == 4 * 16 / packing**2


def test_the_state_costs_what_its_parts_do() -> None:
    alone, fused = cost(replace(PLAIN, recurrent=0)), cost(PLAIN)
    assert fused.macs_per_pixel - alone.macs_per_pixel == (25 * 16 + 16 * 16) / 4
    assert fused.parameters - alone.parameters == (25 + 1) * 16 + (16 + 1) * 16
    assert fused.bytes_per_pixel - alone.bytes_per_pixel == 8 * 16
    assert alone.state_bytes_per_pixel == 0
