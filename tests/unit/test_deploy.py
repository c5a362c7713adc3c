"""Networks with dynamic convolutions as networks with a state, or without run-time kernels at all."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.sensor import Noise, builtin
from autoisp_core.spec import LayerType, Spec, cost
from autoisp_isp.contract import check_contract
from autoisp_isp.cost import count_cost
from autoisp_isp.cost_graph import computed_kernels
from autoisp_isp.deploy import VARIANT_KEY, coefficients_over, frozen, lagged
from autoisp_isp.export import SPEC_KEY, export_onnx
from autoisp_isp.import_onnx import import_onnx
from autoisp_isp.network import PixelNetwork, build
from autoisp_isp.runtime_session import load_session
from autoisp_isp.synthesis import RawClip, RawSample
from autoisp_testing.scenes import moving_scene

BLOCK = Spec.code(
    (1, 10, 3, 0, 0), (2, 8, 3, 1, 0), (3, 10, 1, 2, 0), (4, 10, 3, 3, 0), (5, 11, 0, 4, 1), (6, 7, 0, 0, 0)
)
SPEC = Spec(BLOCK, 8, repeats=2, frames=1, head_kernel=1)
RECURRENT = replace(SPEC, recurrent=1, frames=3)
SENSOR = builtin("phone")


def shaken(spec: Spec) -> PixelNetwork:
    """Coefficients and banks that differ, so that frames do."""
    torch.manual_seed(2)
    network = build(spec)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter += (1.0 if "coefficients" in name else 0.05) * torch.randn_like(parameter)
    return network.eval()


def samples(spec: Spec, count: int = 3, more: int = 0) -> list[RawSample]:
    """Frames of a scene that gets darker, so that its means move."""
    fading = np.linspace(1.0, 0.3, count + spec.frames + more)[:, None, None, None]
    frames = (moving_scene(len(fading), 32, 48) * fading).astype(np.uint8)
    clip = RawClip(frames, SENSOR, "scene", 1)
    first = spec.frames + more - 1
    return [
        clip.sample(index, spec.frames + more, Noise(0.005, 0.0001)) for index in range(first, first + count)
    ]


def arrays(sample: RawSample) -> tuple[np.ndarray, ...]:
    return sample.raw.numpy(), sample.gains.numpy(), sample.ccm.numpy(), sample.noise.numpy()


def streamed(model: bytes, given: Sequence[RawSample]) -> list[np.ndarray]:
    # What comes next is another scene each time: its start is not what these tests are about.
    stream = load_session(model).start(resets=False)
    return [stream.run(*arrays(sample)) for sample in given]


@pytest.mark.parametrize("spec", [SPEC, RECURRENT], ids=["plain", "recurrent"])
def test_a_network_comes_back_from_its_file(spec: Spec) -> None:
    network = shaken(spec)
    model = export_onnx(network, {"sensor": "phone"})
    again, metadata = import_onnx(model)
    assert again.spec == spec
    assert metadata == {"sensor": "phone"}
    assert export_onnx(again, metadata) == model


def test_frozen_is_static_and_equal_where_all_frames_are_one() -> None:
    network, (one, *_, last) = shaken(SPEC), samples(SPEC)
    static = frozen(network, coefficients_over(network, [one, one]))
    kinds = [layer.type for layer in static.spec.block]
    assert LayerType.DYNAMIC not in kinds
    assert kinds.count(LayerType.CONV) == 3
    model = export_onnx(static)
    assert computed_kernels(onnx.load_model_from_string(model)) == ()
    assert len(computed_kernels(onnx.load_model_from_string(export_onnx(network)))) == 6
    dynamic = export_onnx(network)
    (wanted, other), (got, differs) = streamed(dynamic, [one, last]), streamed(model, [one, last])
    np.testing.assert_allclose(got, wanted, atol=1e-4)
    assert np.abs(other - differs).max() > 1e-3
    assert count_cost(model).macs_per_pixel == cost(static.spec).macs_per_pixel < cost(SPEC).macs_per_pixel


def test_coefficients_are_averaged_over_whole_frames() -> None:
    network, given = shaken(SPEC), samples(SPEC)
    means = coefficients_over(network, given)
    assert [[tuple(mean.shape) for mean in block] for block in means] == [[(8, 6)] * 3] * 2
    single = [coefficients_over(network, [sample]) for sample in given]
    average = torch.stack([one[1][2] for one in single]).mean(0)
    torch.testing.assert_close(means[1][2], average)
    assert not torch.allclose(single[0][1][2], single[-1][1][2], atol=1e-4)


def test_lagged_starts_frozen_and_goes_on_with_the_coefficients_of_the_frame_before() -> None:
    network, given = shaken(SPEC), samples(SPEC)
    means = coefficients_over(network, given)
    model = lagged(network, means, {"sensor": "phone"})
    contract = check_contract(model)
    assert [(state.name, state.channels, state.divisor) for state in contract.states] == [
        ("state_coefficients_0", 3 * 8 * 6, None),
        ("state_coefficients_1", 3 * 8 * 6, None),
    ]
    assert contract.metadata == {
        "sensor": "phone",
        VARIANT_KEY: "lagged",
        SPEC_KEY: SPEC.to_json(),
    }
    pictures = streamed(model, [given[0], given[0], given[0], given[2]])
    np.testing.assert_allclose(
        pictures[0], streamed(export_onnx(frozen(network, means)), given)[0], atol=1e-4
    )
    # A block's coefficients depend on what the block before made, so a still scene settles after two frames.
    fresh = streamed(export_onnx(network), given)
    np.testing.assert_allclose(pictures[2], fresh[0], atol=1e-4)
    assert np.abs(pictures[0] - fresh[0]).max() > 1e-3
    before = coefficients_over(network, [given[0]])
    np.testing.assert_allclose(
        pictures[3], streamed(export_onnx(frozen(network, before)), [given[2]])[0], atol=1e-4
    )


def test_lagged_keeps_the_state_that_the_network_has_anyway() -> None:
    network, given = shaken(RECURRENT), samples(RECURRENT, more=4)
    means = coefficients_over(network, given)
    contract = check_contract(lagged(network, means))
    assert {state.name for state in contract.states} == {
        "state",
        "state_valid",
        "state_coefficients_0",
        "state_coefficients_1",
    }
    model, static = lagged(network, means), export_onnx(frozen(network, means))
    first, *others = zip(streamed(model, given), streamed(static, given), strict=True)
    np.testing.assert_allclose(*first, atol=1e-4)
    assert all(np.abs(one - other).max() > 1e-4 for one, other in others)


def test_a_static_network_needs_no_variant() -> None:
    network = build(replace(SPEC, block=Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0))))
    for variant in (
        lambda: coefficients_over(network, []),
        lambda: lagged(network, []),
        lambda: frozen(network, []),
    ):
        with pytest.raises(InvalidArgumentError, match="no dynamic convolutions"):
            variant()


def test_names_what_is_missing_in_a_foreign_file() -> None:
    parsed = onnx.load_model_from_string(export_onnx(build(SPEC)))
    for tensor in parsed.graph.initializer:
        tensor.name = tensor.name.replace("stem.weight", "other")
    for node in parsed.graph.node:
        node.input[:] = [name.replace("stem.weight", "other") for name in node.input]
    with pytest.raises(InvalidArgumentError, match=r"no weights 'stem\.weight'"):
        import_onnx(parsed.SerializeToString())
    del parsed.metadata_props[:]
    with pytest.raises(InvalidArgumentError, match=r"no autoisp\.spec"):
        import_onnx(parsed.SerializeToString())
