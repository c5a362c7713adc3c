"""Graphs that carry state from frame to frame: what is allowed, how streams run, what is judged and timed."""

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.sensor import Noise, builtin
from autoisp_isp.contract import check_contract
from autoisp_isp.cost import count_cost
from autoisp_isp.evaluation import FrameResult, evaluate
from autoisp_isp.prototype import OnnxPrototype, load_prototype
from autoisp_isp.runtime_session import load_session, measure_latency
from autoisp_isp.states import State, only_states
from autoisp_isp.synthesis import RawClip
from autoisp_testing.scenes import moving_scene
from autoisp_worker.jobs import timing
from onnx import TensorProto, helper, numpy_helper

Shape = Sequence[int | str]
_PHONE = builtin("phone").with_identity_ccm()
_NOISE = Noise(0.01, 0.0005)
_STATES: dict[str, Shape] = {"state": ("N", 4, "h", "w"), "state_valid": ("N", 1)}
_CARRIED: dict[str, Shape] = {"state_out": ("N", 4, "a", "b"), "state_valid_out": ("N", 1)}
_GAINS, _CCM, _VARIANCES = np.ones(3, np.float32), np.eye(3, dtype=np.float32), np.zeros(2, np.float32)


def averaging(
    states: dict[str, Shape] | None = None,
    carried: dict[str, Shape] | None = None,
    *,
    keep: float = 0.75,
    kind: int = TensorProto.FLOAT,
) -> bytes:
    """A nearest-neighbour demosaic of the mean = raw + valid · keep · (state − raw), and a root curve."""
    nodes = [
        helper.make_node("Sub", ["state", "raw"], ["change"]),
        helper.make_node("Mul", ["state_valid", "keep"], ["weight"]),
        helper.make_node("Unsqueeze", ["weight", "last"], ["weights"]),
        helper.make_node("Mul", ["change", "weights"], ["kept"]),
        helper.make_node("Add", ["raw", "kept"], ["state_out"]),
        helper.make_node("Sub", ["state_valid", "state_valid"], ["zero"]),
        helper.make_node("Exp", ["zero"], ["state_valid_out"]),
        helper.make_node("Gather", ["state_out", "planes"], ["rgb"], axis=1),
        helper.make_node("Unsqueeze", ["gains", "last"], ["factors"]),
        helper.make_node("Mul", ["rgb", "factors"], ["balanced"]),
        helper.make_node("Relu", ["balanced"], ["light"]),
        helper.make_node("Sqrt", ["light"], ["bright"]),
        helper.make_node("Resize", ["bright", "", "scales"], ["srgb"], mode="nearest"),
    ]
    constants = {
        "keep": np.array([[keep]], np.float32),
        "last": np.array([2, 3]),
        "planes": np.array([0, 1, 3]),
        "scales": np.array([1, 1, 2, 2], np.float32),
    }
    told: dict[str, Shape] = {"raw": ("N", 4, "h", "w"), "gains": ("N", 3)}
    inputs = {**told, **(_STATES if states is None else states)}
    outputs: dict[str, Shape] = {"srgb": ("N", 3, "H", "W"), **(_CARRIED if carried is None else carried)}
    graph = helper.make_graph(
        nodes,
        "averaging",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT if name in told else kind, shape)
            for name, shape in inputs.items()
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())


def prototype(keep: float = 0.75) -> OnnxPrototype:
    loaded = load_prototype("onnx:averaging.onnx", averaging(keep=keep))
    assert isinstance(loaded, OnnxPrototype)
    return loaded


def judged(keep: float, indices: Sequence[int], warm_up: int = 12, scene: int = 0) -> list[FrameResult]:
    still = moving_scene(1, 48, 64, seed=scene).repeat(16, axis=0)
    return list(evaluate(prototype(keep), still, _PHONE, _NOISE, 1, indices, "d", warm_up=warm_up))


def test_the_contract_tells_states_from_what_a_frame_is_told() -> None:
    contract = check_contract(averaging())
    assert contract.inputs == ("raw", "gains")
    assert contract.states == (State("state", 4, 1), State("state_valid", 1, None))
    assert contract.recurrent
    assert prototype().recurrent


@pytest.mark.parametrize(
    ("name", "divisor", "size"), [("", 1, (7, 10)), ("/2", 2, (4, 5)), ("/4", 4, (2, 3))]
)
def test_the_names_of_dimensions_size_the_first_state(name: str, divisor: int, size: tuple[int, int]) -> None:
    contract = check_contract(
        averaging(
            {**_STATES, "state": ("N", 16, f"h{name}", f"w{name}")},
            {**_CARRIED, "state_out": ("N", 16, "a", "b")},
        )
    )
    assert contract.states[0] == State("state", 16, divisor)
    start = contract.start(2, 7, 10)
    assert start["state"].shape == (2, 16, *size)
    assert start["state_valid"].shape == (2, 1)
    assert not start["state"].any()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (averaging(carried={"state_out": ("N", 4, "a", "b")}), "'state_valid' has no output"),
        (averaging(carried={**_CARRIED, "state_b_out": ("N", 1)}), "output 'state_b_out' .* input 'state_b'"),
        (averaging(carried={**_CARRIED, "state_b": ("N", 1)}), "output 'state_b' goes nowhere"),
        (averaging({**_STATES, "state": ("N", 4, "H", "W")}), r"input 'state' is FLOAT \(N, 4, H, W\)"),
        (averaging({**_STATES, "state": ("N", 4, "h/2", "w/4")}), r"\(N, 4, h/2, w/4\); a state must be"),
        (averaging({**_STATES, "state": ("N", 4, "h/0", "w/0")}), "a state must be"),
        (averaging({**_STATES, "state": ("N", 4, "h/" + "9" * 5000, "w")}), r"h/9{30}, w\); .* at most 4096"),
        (averaging({**_STATES, "state": ("N", "C", "h", "w")}), "a state must be .* fixed C"),
        (averaging({**_STATES, "state": ("N", 2**40, "h", "w")}), "a state must be .* at most 4096"),
        (averaging({**_STATES, "state_valid": ("N",)}), "input 'state_valid'"),
        (averaging(carried={**_CARRIED, "state_out": ("N", 8, "a", "b")}), "output 'state_out' is"),
        (averaging(kind=TensorProto.FLOAT16), "input 'state' is FLOAT16"),
    ],
)  # fmt: skip
def test_states_that_make_no_sense_are_refused_by_name(model: bytes, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message) as caught:
        # Without onnx's own checks, which see some of these first.
        check_contract(onnx.load_model_from_string(model), field="--prototype")
    assert caught.value.field == "--prototype"


def test_a_state_that_does_not_fit_the_next_frame_is_refused() -> None:
    model = onnx.load_model_from_string(averaging())
    (fused,) = (node for node in model.graph.node if "state_out" in node.output)
    fused.output[0] = "fused"
    model.graph.node.append(helper.make_node("Concat", ["fused", "fused"], ["state_out"], axis=2))
    (gathered,) = (node for node in model.graph.node if node.op_type == "Gather")
    gathered.input[0] = "fused"
    model.graph.node.remove(gathered)
    model.graph.node.insert(5, gathered)
    with pytest.raises(InvalidArgumentError, match=r"'state_out' is \(1, 4, 64, 32\).* is \(1, 4, 32, 32\)"):
        load_prototype("onnx:growing.onnx", model.SerializeToString())


def test_a_stream_starts_at_zero_and_carries_its_state() -> None:
    network = load_session(averaging())
    # Another exposure is no other scene.
    dark, bright = np.full((1, 4, 6, 8), 0.2, np.float32), np.full((1, 4, 6, 8), 0.8, np.float32)
    first, second = network.start(), network.start()
    assert first.run(dark, _GAINS, _CCM, _VARIANCES) == pytest.approx(0.2**0.5)
    # Another stream of the same network knows nothing of it.
    assert second.run(bright, _GAINS, _CCM, _VARIANCES) == pytest.approx(0.8**0.5)
    assert first.run(bright, _GAINS, _CCM, _VARIANCES) == pytest.approx(0.35**0.5)
    assert first.run(bright, _GAINS, _CCM, _VARIANCES) == pytest.approx(0.4625**0.5)
    # A run by itself is the end of a stream of its frames.
    whole = np.concatenate([dark, bright, bright])
    assert network.run(whole, _GAINS, _CCM, _VARIANCES) == pytest.approx(0.4625**0.5)


def test_a_skipped_frame_leaves_the_same_state_without_the_picture() -> None:
    model = onnx.load_model_from_string(averaging())
    part = only_states(model)
    assert [value.name for value in part.graph.output] == ["state_out", "state_valid_out"]
    assert "Resize" not in {node.op_type for node in part.graph.node}
    network = load_session(averaging())
    seen, skipped = network.start(), network.start()
    raws = np.random.default_rng(0).random((2, 1, 4, 6, 8)).astype(np.float32)
    seen.run(raws[0], _GAINS, _CCM, _VARIANCES)
    skipped.skip(raws[0], _GAINS, _CCM, _VARIANCES)
    last = [stream.run(raws[1], _GAINS, _CCM, _VARIANCES) for stream in (seen, skipped)]
    assert np.array_equal(*last)


def test_a_stream_of_another_size_is_refused() -> None:
    stream = load_session(averaging()).start()
    stream.run(np.zeros((1, 4, 6, 8), np.float32), _GAINS, _CCM, _VARIANCES)
    with pytest.raises(InvalidArgumentError, match="6×10 after 6×8; start another stream"):
        stream.run(np.zeros((1, 4, 6, 10), np.float32), _GAINS, _CCM, _VARIANCES)


def test_past_frames_average_the_noise_away() -> None:
    alone, averaged = judged(0.0, [15])[0], judged(0.75, [15])[0]
    assert averaged.psnr > alone.psnr + 2.0


def test_every_judged_frame_has_its_own_past_up_to_the_clips_start() -> None:
    alone = judged(0.0, [0])[0]
    together = judged(0.75, [0, 5, 15])
    assert together[0].psnr == alone.psnr  # nothing comes before the first frame
    assert judged(0.75, [5])[0].psnr == together[1].psnr  # what else was asked for changes nothing
    short = judged(0.75, [5], warm_up=2)[0]
    assert alone.psnr < short.psnr < together[1].psnr
    assert judged(0.75, [2])[0].psnr == judged(0.75, [2], warm_up=2)[0].psnr


def test_the_past_of_a_frame_is_the_noise_of_those_frames() -> None:
    clip = RawClip(moving_scene(8, 32, 48), _PHONE, "d", 3)
    raws = [clip.noisy(index, _NOISE).numpy()[None] for index in range(8)]
    stream = prototype().start()
    pictures = [stream.run(raw, _GAINS, _CCM, _VARIANCES) for raw in raws]
    sample = clip.sample(7, 8, _NOISE)
    assert np.array_equal(prototype().run(sample.raw.numpy(), _GAINS, _CCM, _VARIANCES), pictures[-1])


def test_costs_and_times_are_of_a_frame_amid_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    model = averaging()
    assert count_cost(model).macs_per_pixel == 0
    assert measure_latency(load_session(model), 64, 96, 3).seconds_per_megapixel > 0
    valid: list[float] = []
    developer = prototype()
    step = developer._network.step
    monkeypatch.setattr(
        developer._network,
        "step",
        lambda inputs: valid.append(float(inputs["state_valid"].mean())) or step(inputs),  # type: ignore[func-returns-value]
    )
    frames = [np.zeros((32, 48, 3), np.uint8)]
    assert timing.seconds_per_megapixel({"": developer}, frames, _PHONE, seconds=0.0)[""] > 0
    assert valid[0] == 0.0  # the run that only warms up
    assert len(valid) > 3
    assert all(value == 1.0 for value in valid[1:])
