"""Networks obey the model contract, in torch and, to the same numbers, in ONNX Runtime."""

import random
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from autoisp_core.spec import LayerType, SearchSpace, Spec, SpecError, cost, has_dynamic
from autoisp_isp.colour import process
from autoisp_isp.cost import count_cost
from autoisp_isp.export import SPEC_KEY, export_onnx
from autoisp_isp.network import PixelNetwork, build
from autoisp_isp.network.fixed import develop, stabilise, stabiliser
from autoisp_isp.raw import mosaic_of
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

WHOLE = SearchSpace(
    types=tuple(kind for kind in LayerType if kind != LayerType.TERMINAL),
    kernels=(1, 3, 5, 7),
    max_layers=8,
    widths=(4, 6, 7, 8, 16, 64),
    repeats=(1, 2),
    packings=(2, 4, 8),
    stem_kernels=(1, 3, 5),
    head_kernels=(1, 3, 5),
    recurrent=(0, 1),
    residual=(0, 1),
    heads=(0, 1),
)
"""Every choice there is, at sizes that are quick to run."""
PLAIN = Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), 16)
EVERY_TYPE = Spec.code(
    (1, 1, 3, 0, 0),
    (2, 8, 5, 1, 0),
    (3, 2, 3, 2, 0),
    (4, 3, 3, 1, 0),
    (5, 5, 0, 3, 4),
    (6, 6, 0, 5, 0),
    (7, 11, 0, 6, 1),
    (8, 4, 0, 0, 0),
    (9, 12, 3, 1, 0),
    (10, 9, 3, 1, 0),
    (11, 7, 0, 0, 0),
)
"""But kernels made from the frame, with which a graph takes one frame at a time."""
CCM = torch.tensor([[1.6, -0.4, -0.2], [-0.2, 1.5, -0.3], [0.0, -0.5, 1.5]])


def inputs(spec: Spec, batch: int = 2, height: int = 8, width: int = 12, more: int = 0) -> dict[str, Tensor]:
    """Noise to develop; ``more`` frames than the window has."""
    generator = torch.Generator().manual_seed(height * 100 + width)
    shape = (batch, spec.frames + more, 4, height, width)
    raw = torch.rand(shape, generator=generator) * 1.1 - 0.05
    return {
        "raw": raw[:, 0] if spec.frames == 1 and not spec.recurrent else raw,
        "gains": torch.tensor([[2.0, 1.0, 1.7]]).repeat(batch, 1),
        "ccm": CCM.repeat(batch, 1, 1),
        "noise": torch.linspace(0, 0.01, batch)[:, None] * torch.tensor([1.0, 0.05]),
    }


_THIN = 8 * 3 * 3
"""Weights for each output of a thin layer."""


def shaken(spec: Spec) -> PixelNetwork:
    """A network whose weights all matter, and matter as much in wide layers as in thin ones.

    Else values grow from layer to layer, and single precision is all that is compared.
    """
    torch.manual_seed(1)
    network = build(spec)
    with torch.no_grad():
        for parameter in network.parameters():
            strength = 0.03 * min(1.0, (_THIN / parameter[0].numel()) ** 0.5)
            parameter += strength * torch.randn_like(parameter)
    return network


def played_one_by_one(model: bytes, spec: Spec, given: dict[str, Tensor]) -> np.ndarray:
    """As :func:`played`, a scene at a time where the graph takes no more."""
    if not has_dynamic(spec.block):
        return played(model, spec, given)
    scenes = range(len(given["raw"]))
    return np.concatenate(
        [played(model, spec, {name: value[n : n + 1] for name, value in given.items()}) for n in scenes]
    )


def played(model: bytes, spec: Spec, given: dict[str, Tensor]) -> np.ndarray:
    """The newest picture from the graph, run frame by frame, its state carried as the contract says."""
    session = onnxruntime.InferenceSession(model, one_thread())
    sides = {name: value.numpy() for name, value in given.items() if name != "raw"}
    raw = given["raw"].numpy()
    if not spec.recurrent:
        return np.asarray(session.run(["srgb"], {"raw": raw, **sides})[0])
    cell = spec.packing // 2
    size = (-(-raw.shape[-2] // cell), -(-raw.shape[-1] // cell))
    state, valid = np.zeros((len(raw), spec.width, *size), np.float32), np.zeros((len(raw), 1), np.float32)
    for end in range(spec.frames, raw.shape[1] + 1):
        window = raw[:, end - 1] if spec.frames == 1 else raw[:, end - spec.frames : end]
        fed = {"raw": window, "state": state, "state_valid": valid, **sides}
        srgb, state, valid = session.run(["srgb", "state_out", "state_valid_out"], fed)
        assert state.shape[2:] == size
        assert (valid == 1).all()
    return np.asarray(srgb)


def one_thread() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return options


def agree(spec: Spec) -> None:
    """Torch and ONNX Runtime give the same pictures, at odd sizes too."""
    network = shaken(spec)
    model = export_onnx(network)
    for height, width in ((8, 12), (7, 9)):
        given = inputs(spec, height=height, width=width, more=3 if spec.recurrent else 0)
        with torch.no_grad():
            expected = network(**given)
        assert expected.shape == (2, 3, 2 * height, 2 * width)
        np.testing.assert_allclose(played_one_by_one(model, spec, given), expected.numpy(), atol=2e-4)


@pytest.mark.parametrize("packing", [2, 4, 8])
@pytest.mark.parametrize("frames", [1, 3, 5])
@pytest.mark.parametrize("recurrent", [0, 1])
def test_torch_and_onnx_runtime_agree_on_every_type(packing: int, frames: int, recurrent: int) -> None:
    agree(Spec(EVERY_TYPE, 8, packing=packing, frames=frames, recurrent=recurrent))


@given(st.integers(0, 10**9))
@settings(deadline=None, max_examples=25)
def test_torch_and_onnx_runtime_agree_over_the_whole_space(seed: int) -> None:
    agree(WHOLE.sample(random.Random(seed)))


@given(st.integers(0, 10**9))
@settings(deadline=None, max_examples=100)
def test_the_cost_of_a_spec_is_the_cost_of_its_graph(seed: int) -> None:
    spec = WHOLE.sample(random.Random(seed))
    network = build(spec)
    counted, analytic = count_cost(export_onnx(network)), cost(spec)
    for name in (
        "macs_per_pixel",
        "parameters",
        "bytes_per_pixel",
        "fusible_bytes_per_pixel",
        "state_bytes_per_pixel",
    ):
        assert getattr(counted, name) == getattr(analytic, name), name
    fixed = sum(buffer.numel() for buffer in network.buffers())
    assert analytic.parameters == fixed + sum(parameter.numel() for parameter in network.parameters())


def test_exported_graphs_hold_nothing_superfluous() -> None:
    model = onnx.load_model_from_string(export_onnx(build(PLAIN), {"task": "denoise"}))
    onnx.checker.check_model(model, full_check=True)
    operators = [node.op_type for node in model.graph.node]
    assert operators.count("Conv") == 3
    assert operators.count("MatMul") == operators.count("DepthToSpace") == 1
    assert not {"Cast", "Transpose", "Identity", "Constant", "Pad", "Where"} & set(operators)
    assert len(operators) < 50
    assert [value.name for value in model.graph.input] == ["raw", "gains", "ccm", "noise"]
    assert [value.name for value in model.graph.output] == ["srgb"]
    assert model.opset_import[0].version >= 18
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata == {"task": "denoise", SPEC_KEY: PLAIN.to_json()}


def test_exporting_twice_gives_the_same_bytes() -> None:
    network = build(PLAIN)
    assert export_onnx(network, {"a": "b"}) == export_onnx(network, {"a": "b"})


@pytest.mark.parametrize(
    ("spec", "tolerance"),
    [
        *((replace(PLAIN, packing=packing, width=width), 0.06) for packing in (2, 4) for width in (4, 16)),
        (replace(PLAIN, packing=8, width=16), 0.06),
        (replace(PLAIN, packing=8, width=64), 0.06),
        *((replace(PLAIN, packing=packing, residual=1), 0.005) for packing in (2, 4, 8)),
        *((replace(PLAIN, packing=packing, head=1), 0.005) for packing in (2, 4, 8)),
        (replace(PLAIN, residual=1, head=1), 0.005),
    ],
    ids=str,
)
def test_starts_as_a_demosaic_of_the_newest_frame(spec: Spec, tolerance: float) -> None:
    rows, columns = torch.linspace(0.1, 0.4, 48), torch.linspace(0.1, 0.5, 64)
    ramp = (rows[:, None] + columns[None]).expand(3, -1, -1) * torch.tensor([0.5, 1.0, 0.6])[:, None, None]
    given = inputs(spec, batch=1, height=24, width=32)
    given["raw"][:, -1] = mosaic_of(ramp)
    given["noise"].zero_()
    truth = process(ramp, given["gains"][0], CCM)
    inner = (..., slice(8, -8), slice(8, -8))
    with torch.no_grad():
        error = (build(spec)(**given)[0] - truth)[inner].abs().max()
    assert error < tolerance


def test_the_fixed_maths_is_its_own_inverse_up_to_the_display_curve() -> None:
    linear = torch.rand(2, 3, 1, 500)
    ones, ccm = torch.ones(2, 3), CCM.repeat(2, 1, 1)
    scale, offset = stabiliser(torch.tensor([[0.0, 0.0], [0.01, 0.0005]]))
    planes = torch.cat((linear[:, :2], linear[:, 1:]), 1)
    z = stabilise(planes, ones, scale, offset)
    srgb = develop(z[:, [0, 1, 3], 0], ccm, scale, offset)
    truth = torch.stack([process(one, gain, CCM) for one, gain in zip(linear, ones, strict=True)])
    assert (srgb - truth[:, :, 0]).abs().max() < 0.0036


def test_noise_is_equally_strong_after_the_square_root() -> None:
    generator = torch.Generator().manual_seed(0)
    spreads = []
    for shot, read in ((0.01, 0.0005), (0.002, 0.0001)):
        for level in (0.05, 0.3, 0.9):
            clean = torch.full((1, 4, 100, 100), level)
            noise = torch.randn(clean.shape, generator=generator)
            scale, offset = stabiliser(torch.tensor([[shot, read]]))
            z = stabilise(clean + (shot * clean + read) ** 0.5 * noise, torch.ones(1, 3), scale, offset)
            spreads.append(float(z.std()))
    assert max(spreads) < 1.5 * min(spreads)


def test_extreme_inputs_stay_finite_and_in_range() -> None:
    network = shaken(replace(PLAIN, packing=4))
    given = inputs(network.spec, batch=1)
    for raw, noise in ((-1.0, 0.0), (0.0, 0.0), (1.0, 0.5), (5.0, 0.0)):
        given["raw"].fill_(raw)
        given["noise"].fill_(noise)
        output = network(**given).detach()
        assert bool(output.isfinite().all())
        assert float(output.min()) >= 0
        assert float(output.max()) <= 1


@pytest.mark.parametrize("switches", [{}, {"recurrent": 1}, {"residual": 1}, {"head": 1}], ids=str)
def test_every_parameter_learns(switches: dict[str, int]) -> None:
    spec = replace(Spec(EVERY_TYPE, 8, repeats=2), **switches)
    network = shaken(spec)
    network(**inputs(spec, more=spec.recurrent)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name


def test_the_same_seed_builds_the_same_network() -> None:
    torch.manual_seed(3)
    first = build(PLAIN).state_dict()
    torch.manual_seed(3)
    second = build(PLAIN).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_refuses_an_invalid_spec() -> None:
    with pytest.raises(SpecError, match="packing"):
        build(replace(PLAIN, packing=3))
