"""Forms of small networks in fewer bits, run by ONNX Runtime: their range, their types, their loss."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from autoisp_core import sensor as sensors
from autoisp_core.errors import FailedPreconditionError, InvalidArgumentError
from autoisp_core.sensor import Noise
from autoisp_core.spec import LayerType, Spec
from autoisp_core.spec.blocks import chain
from autoisp_isp.contract import check_contract
from autoisp_isp.cost import count_cost
from autoisp_isp.edge import EXECUTORCH, FP16, FP32, INT8
from autoisp_isp.edge.half import halved, map_nodes, rounding_twin
from autoisp_isp.edge.make import TARGET_DB, make
from autoisp_isp.edge.prepared import prepared
from autoisp_isp.edge.region import learned_nodes
from autoisp_isp.edge.shadows import shadow_psnr
from autoisp_isp.edge.shots import (
    CalibrationFrame,
    closeness,
    developed,
    graph_inputs,
    lost_db,
    packed,
    synthetic_frames,
    unpacked,
)
from autoisp_isp.edge.stepping import Step
from autoisp_isp.edge.widening import choose
from autoisp_isp.edge.workshop import make_isolated
from autoisp_isp.export import export_onnx
from autoisp_isp.import_onnx import import_onnx
from autoisp_isp.network import build
from autoisp_isp.prototype import OnnxPrototype
from autoisp_isp.reel import Reel
from autoisp_isp.runtime_session import load_session
from autoisp_testing.graphs import endless, root_of
from autoisp_testing.scenes import moving_scene
from onnx import TensorProto

PLAIN = Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), width=8, packing=4, frames=3)
RECURRENT = replace(PLAIN, frames=1, recurrent=1)
RESIDUAL = replace(PLAIN, residual=1)
DYNAMIC = Spec(chain([(LayerType.DYNAMIC, 3)]), width=8, packing=4, frames=1)
SPECS = {"plain": PLAIN, "recurrent": RECURRENT, "residual": RESIDUAL, "dynamic": DYNAMIC}
SENSOR = sensors.builtin("phone").with_test_noise(Noise(0.001, 0.00001))


def network(spec: Spec, *, factor: float = 1.0) -> bytes:
    """One whose weights are not those that it begins with; `factor` makes all features larger."""
    torch.manual_seed(5)
    module = build(spec)
    with torch.no_grad():
        for block in module.blocks:
            for parameter in block.parameters():
                parameter += 0.05 * torch.randn_like(parameter)
        module.stem.weight *= factor
        assert module.stem.bias is not None
        module.stem.bias *= factor
        module.head.weight /= factor
    return export_onnx(module)


def frames_for(model: bytes, count: int = 4) -> list[CalibrationFrame]:
    developer = OnnxPrototype(load_session(model), 0.0)
    reel = Reel(moving_scene(count, 64, 96, seed=3), SENSOR, 1, "d", range(count), [developer])
    return [CalibrationFrame.of(reel(index), developer.frames) for index in range(count)]


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_half_precision_keeps_the_contract_and_loses_nothing_to_see(spec: Spec) -> None:
    model = network(spec)
    frames = frames_for(model)
    exact = developed(load_session(model), frames)

    made = make(FP16, model, frames)

    shipped = onnx.load_model_from_string(made.data)
    assert check_contract(shipped).inputs == check_contract(model).inputs
    kinds = {tensor.name: tensor.data_type for tensor in shipped.graph.initializer}
    assert kinds["stem.weight.half"] == onnx.TensorProto.FLOAT16
    assert made.judged is not None
    for data in (made.data, made.judged):
        assert closeness(exact, developed(load_session(data), frames)) > 55.0
    assert max(lost_db(exact, developed(load_session(made.judged), frames), frames)) < 0.05
    assert len(made.data) < 0.8 * len(model)
    assert count_cost(made.data).macs_per_pixel == count_cost(model).macs_per_pixel
    assert count_cost(made.data).bytes_per_pixel == pytest.approx(
        count_cost(model).bytes_per_pixel / 2, rel=0.1
    )


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_half_precision_stands_darkness_and_light_without_footage(spec: Spec) -> None:
    model = network(spec)
    frames = synthetic_frames(check_contract(model), sensors.builtin("phone"), 1)
    assert {float(np.round(frame.raw.mean())) for frame in frames} >= {0.0, 1.0}

    made = make(FP16, model, frames, truth=False)

    exact = developed(load_session(model), frames)
    assert made.judged is not None
    assert closeness(exact, developed(load_session(made.judged), frames)) > 50.0


def test_a_network_that_half_precision_cannot_hold_is_refused() -> None:
    model = network(PLAIN, factor=1e5)

    with pytest.raises(FailedPreconditionError, match="range of float16") as caught:
        make(FP16, model, frames_for(model))

    assert caught.value.reason == "OUT_OF_RANGE"


def test_a_twin_rounds_where_onnx_runtime_does_not() -> None:
    """If this fails, ONNX Runtime has learned half precision here, and twins are no longer needed."""
    model = network(PLAIN, factor=1e5)
    graph, frames = prepared(model), frames_for(model)[:1]

    (rounded,) = developed(load_session(rounding_twin(graph, map_nodes(graph)).SerializeToString()), frames)
    (shipped,) = developed(load_session(halved(graph, map_nodes(graph)).SerializeToString()), frames)

    assert not np.allclose(rounded, shipped, atol=0.1, equal_nan=False)


def test_what_is_told_of_a_frame_stays_in_single_precision() -> None:
    graph = prepared(network(PLAIN))
    half = halved(graph, map_nodes(graph))
    noise = {name for node in half.graph.node if "noise" in node.input for name in node.output}

    assert noise
    assert not any(name.endswith(".half") for name in noise)


@pytest.mark.parametrize("name", ["plain", "recurrent", "residual"])
def test_int8_quantises_the_learned_part_and_nothing_else(name: str) -> None:
    model = network(SPECS[name])
    frames = frames_for(model)

    made = make(INT8, model, frames)

    exact, pictures = (developed(load_session(data), frames) for data in (model, made.data))
    assert max(lost_db(exact, pictures, frames)) <= 0.1
    assert not np.array_equal(exact[-1], pictures[-1])
    graph = onnx.load_model_from_string(made.data).graph
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    weights = {
        node.input[0]: len(kinds) and node
        for node in graph.node
        if node.op_type == "DequantizeLinear" and kinds.get(node.input[0]) == onnx.TensorProto.INT8
    }
    assert {"stem.weight_quantized", "head.weight_quantized"} <= set(weights)
    scales = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    assert scales["stem.weight_scale"] == (8,)
    assert not any("demosaic" in weight for weight in weights)
    assert "raw_QuantizeLinear" not in {node.name for node in graph.node}
    assert count_cost(made.data).parameters == count_cost(model).parameters


def test_kernels_made_at_run_time_stay_as_they_are() -> None:
    model = network(DYNAMIC)
    made = make(INT8, model, frames_for(model))
    graph = onnx.load_model_from_string(made.data).graph

    makers = {name: node for node in graph.node for name in node.output}
    dynamic = [
        node
        for node in graph.node
        if node.op_type == "Conv" and node.input[1] in makers and makers[node.input[1]].op_type == "Reshape"
    ]
    assert dynamic
    assert any(tensor.name.endswith("head.weight_quantized") for tensor in graph.initializer)


def test_shadows_that_8_bits_lose_get_16() -> None:
    model = network(RECURRENT)
    frames = frames_for(model)
    inputs = graph_inputs(model, frames)
    assert [float(one["state_valid"].item()) for one in inputs] == [0.0, 1.0, 1.0, 1.0]
    generator = np.random.default_rng(1)
    exact = developed(load_session(model), frames)
    # A network that is nearly perfect: what 8 bits do to it is most of its error.
    frames = [
        replace(frame, truth=picture + 0.004 * generator.standard_normal(picture.shape, np.float32))
        for frame, picture in zip(frames, exact, strict=True)
    ]

    made = make(INT8, model, frames)

    lost = max(lost_db(exact, developed(load_session(made.data), frames), frames))
    assert "16-bit activations in" in made.note
    assert lost <= TARGET_DB
    tensors = onnx.load_model_from_string(made.data).graph.initializer
    assert {tensor.name: tensor.data_type for tensor in tensors}["state_out_zero_point"] == TensorProto.UINT16
    # The same numbers as written: ONNX Runtime rewrites nothing in between.
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = onnxruntime.InferenceSession(made.data, options)
    srgb, *_ = plain.run(["srgb"], inputs[0])
    assert np.abs(srgb[0] - developed(load_session(made.data), frames[:1])[0]).max() < 2e-3


def test_the_heaviest_places_are_widened_first_and_no_more_than_needed() -> None:
    weights = {"a": 0.01, "b": 0.5, "c": 0.02, "d": 0.3, "e": 0.01}
    calls = []

    def measure(wide: Collection[str], exact: Collection[str]) -> float:
        assert not exact
        calls.append(wide)
        return sum(loss for name, loss in weights.items() if name not in wide)

    found = choose(list(weights), ["conv"], measure, target_db=0.1, at_most=100)

    assert found.wide == ("b", "d")
    assert found.exact == ()
    assert found.loss_db == pytest.approx(0.04)
    assert found.narrow_loss_db == pytest.approx(0.84)
    assert len(calls) <= 2 + 1 + 5 + 3 + 1


def test_weights_get_16_bits_where_they_are_at_fault() -> None:
    weights = {"first": 0.4, "middle": 0.05, "last": 0.02}

    def measure(wide: Collection[str], exact: Collection[str]) -> float:
        return 0.01 * (2 - len(wide)) + sum(loss for name, loss in weights.items() if name not in exact)

    found = choose(["a", "b"], list(weights), measure, target_db=0.1, at_most=100)

    assert found.exact == ("first", "middle")
    assert found.wide == ()
    assert found.loss_db == pytest.approx(0.04)


def test_few_measurements_widen_from_the_ends() -> None:
    places = [f"p{index}" for index in range(40)]
    calls = []

    def measure(wide: Collection[str], exact: Collection[str]) -> float:
        calls.append(wide)
        return 1.0 if "p39" not in wide else 0.0

    found = choose(places, [], measure, target_db=0.1, at_most=12)

    assert "p39" in found.wide
    assert found.loss_db == 0.0
    assert len(calls) <= 14


def test_int8_without_footage_or_without_weights_says_so() -> None:
    model = network(PLAIN)
    with pytest.raises(FailedPreconditionError) as caught:
        make(INT8, model, [], truth=False)
    assert caught.value.reason == "NO_FOOTAGE"

    plain = root_of(1.0)
    with pytest.raises(FailedPreconditionError) as caught:
        make(INT8, plain, frames_for(plain))
    assert caught.value.reason == "NOTHING_LEARNED"


def test_graphs_inside_of_nodes_are_refused() -> None:
    with pytest.raises(FailedPreconditionError) as caught:
        prepared(endless())
    assert caught.value.reason == "NOT_CONVERTIBLE"


def test_no_other_format_is_made() -> None:
    with pytest.raises(InvalidArgumentError, match="tflite"):
        make("tflite", network(PLAIN), [])


def test_the_registered_file_is_shipped_as_it_is() -> None:
    model = network(PLAIN)
    assert make(FP32, model, []).data == model


def test_the_fixed_maths_is_no_part_of_the_learned_network() -> None:
    graph = prepared(network(RECURRENT))
    learned = {graph.graph.node[place].op_type for place in learned_nodes(graph)}

    assert {"Conv", "Relu", "Sub", "Sigmoid"} <= learned
    assert not learned & {"Sqrt", "MatMul", "Div", "Reciprocal"}


def test_the_same_bytes_in_another_process_with_another_hash_seed(tmp_path: Path) -> None:
    model = network(RECURRENT)
    frames = frames_for(model)
    (tmp_path / "model").write_bytes(model)
    (tmp_path / "frames").write_bytes(packed(frames))
    program = (
        "import sys; from pathlib import Path; from autoisp_isp.edge.make import make;"
        "from autoisp_isp.edge.shots import unpacked;"
        "model, frames = ((Path(sys.argv[1]) / name).read_bytes() for name in ('model', 'frames'));"
        "made = make(sys.argv[2], model, unpacked(frames));"
        "sys.stdout.buffer.write(made.data)"
    )
    for name in (FP16, INT8):
        run = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path), name],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": "77"},
        )
        assert run.stdout == make(name, model, frames).data


def test_a_process_of_its_own_makes_the_same_and_passes_faults_on() -> None:
    model = network(PLAIN)
    frames = frames_for(model)
    again = unpacked(packed(frames))
    assert all(np.array_equal(one.raw, other.raw) for one, other in zip(frames, again, strict=True))
    settings = {"truth": True, "limit_s": 60.0, "memory_bytes": 4 << 30}

    made = make_isolated(FP16, model, frames, **settings)  # type: ignore[arg-type]

    assert made == make(FP16, model, frames)
    with pytest.raises(FailedPreconditionError) as caught:
        make_isolated(INT8, root_of(1.0), frames_for(root_of(1.0)), **settings)  # type: ignore[arg-type]
    assert caught.value.reason == "NOTHING_LEARNED"
    with pytest.raises(InvalidArgumentError, match="ONNX"):
        make_isolated(FP16, b"nonsense", frames, **settings)  # type: ignore[arg-type]


def test_a_process_that_takes_too_long_or_is_given_up_is_ended() -> None:
    model, frames = network(PLAIN), frames_for(network(PLAIN))
    with pytest.raises(FailedPreconditionError) as caught:
        make_isolated(FP16, model, frames, truth=True, limit_s=0.05, memory_bytes=4 << 30)
    assert caught.value.reason == "MODEL_TIMED_OUT"

    def give_up() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_isolated(FP16, model, frames, truth=True, limit_s=60.0, memory_bytes=4 << 30, on_wait=give_up)


def test_a_process_without_memory_says_so() -> None:
    model = network(PLAIN)
    with pytest.raises(FailedPreconditionError) as caught:
        make_isolated(FP16, model, frames_for(model), truth=True, limit_s=60.0, memory_bytes=1 << 20)
    assert caught.value.reason in ("MODEL_OUT_OF_MEMORY", "MODEL_CRASHED")


def test_shadows_are_the_darkest_quarter_of_the_truth() -> None:
    truth = np.linspace(0.0, 1.0, 64, dtype=np.float32).reshape(1, 8, 8).repeat(3, 0)
    bright, dark = truth.copy(), truth.copy()
    bright[:, 7] += 0.2
    dark[:, 0] += 0.1

    assert shadow_psnr(bright, truth) == 100.0
    assert shadow_psnr(dark, truth) == pytest.approx(20.0 + 10 * np.log10(2), abs=1e-3)


@pytest.mark.parametrize("name", ["plain", "recurrent"])
def test_a_step_takes_and_gives_what_the_graph_does(name: str) -> None:
    model = network(SPECS[name])
    module, _ = import_onnx(model)
    session = load_session(model)

    for inputs in graph_inputs(model, frames_for(model)):
        srgb, carried = session.step(inputs)
        with torch.no_grad():
            made = Step(module)(*(torch.from_numpy(value) for value in inputs.values()))
        assert np.allclose(made[0].numpy(), srgb, atol=1e-4)
        for one, other in zip(made[1:], carried.values(), strict=True):
            assert np.allclose(one.numpy(), other, atol=1e-4)


@pytest.mark.skipif(importlib.util.find_spec("executorch") is not None, reason="ExecuTorch is there")
def test_without_executorch_a_program_says_how_to_get_it() -> None:
    with pytest.raises(FailedPreconditionError, match="pip install") as caught:
        make(EXECUTORCH, network(PLAIN), [])
    assert caught.value.reason == "NOT_INSTALLED"


@pytest.mark.timeout(280)
@pytest.mark.skipif(importlib.util.find_spec("executorch") is None, reason="needs the extra executorch")
def test_a_program_gives_the_pictures_of_the_file() -> None:
    model = network(RECURRENT)

    made = make(EXECUTORCH, model, frames_for(model))

    assert made.judged == model
    assert made.seconds_per_megapixel is not None
    assert "those of onnx-fp32" in made.note
