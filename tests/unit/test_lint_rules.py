"""Each rule of the lint fires where it should, and only there."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from autoisp_core.lint import MAX_NODES, Conditions, Node, Rule, Severity, Tensor, lint_graph
from autoisp_core.spec.device import DeviceProfile
from lint_graphs import MAP, convolution, device, graph, node


def found(graph, device):
    return {finding.rule: finding for finding in lint_graph(graph, device).findings}


def only(graph, device):
    (finding,) = lint_graph(graph, device).findings
    return finding


def test_a_graph_of_what_the_device_has_is_supported_and_nothing_is_said():
    lint = lint_graph(graph(convolution(output="a"), node("Relu", "a", "y")), device())
    assert (lint.supported, lint.findings) == (True, ())


@pytest.mark.parametrize(
    ("operator", "fix"),
    [("GridSample", "don't warp"), ("LayerNormalization", "ReLU"), ("Mystery", "Conv, Relu and others")],
)
def test_an_operator_that_is_not_there_is_an_error_with_advice(operator, fix):
    finding = only(graph(node(operator, "x", "y")), device())
    assert (finding.rule, finding.severity) == (Rule.UNSUPPORTED_OPERATOR, Severity.ERROR)
    assert finding.nodes == (f"{operator.lower()}_y",)
    assert fix in finding.fix


def test_nodes_of_one_operator_are_one_finding_that_names_twenty():
    names = [f"v{place}" for place in range(30)]
    chain = [node("Warp", one, two, name=two) for one, two in zip(["x", *names], [*names, "y"], strict=True)]
    finding = only(graph(*chain), device())
    assert finding.reason.startswith("Warp × 31: ")
    assert finding.nodes == tuple(names[:MAX_NODES])


def test_findings_of_other_operators_stay_apart_and_errors_come_first():
    rules = lint_graph(
        graph(node("A", "x", "a"), node("B", "a", "b"), node("Relu", "b", "y"), free_inputs=("x",)), device()
    ).findings
    assert [finding.rule for finding in rules] == [
        Rule.UNSUPPORTED_OPERATOR,
        Rule.UNSUPPORTED_OPERATOR,
        Rule.DYNAMIC_SHAPE,
        Rule.CPU_FALLBACK_SPLITS,
    ]
    assert [finding.severity for finding in rules] == ["error", "error", "warning", "warning"]


@pytest.mark.parametrize(
    ("conditions", "attributes", "said"),
    [
        (Conditions(kernels=(1, 5)), {}, "3×3"),
        (Conditions(kernels=(1, 5)), {"kernel_shape": (3, 3)}, "3×3"),
        (Conditions(strides=(1,)), {"strides": (2, 2)}, "strides"),
        (Conditions(dilations=(1,)), {"dilations": (1, 4)}, "dilations"),
        (Conditions(groups=("dense",)), {"group": 4}, "grouped convolutions"),
    ],
)
def test_a_convolution_that_breaks_a_condition(conditions, attributes, said):
    lacks = device(operators={"Conv": conditions})
    assert said in only(graph(convolution(**attributes)), lacks).reason
    assert lint_graph(graph(convolution(**attributes)), device()).supported


def test_a_depthwise_convolution_is_no_grouped_one():
    weights = {"w": Tensor((16, 1, 3, 3), "float32", constant=True)}
    depthwise = graph(convolution(group=16), tensors=weights)
    assert lint_graph(depthwise, device(operators={"Conv": Conditions(groups=("depthwise",))})).supported
    assert not lint_graph(depthwise, device(operators={"Conv": Conditions(groups=("dense",))})).supported


@pytest.mark.parametrize(
    ("operator", "attributes", "fine"),
    [
        ("DepthToSpace", {"mode": "CRD"}, False),
        ("DepthToSpace", {}, True),  # ONNX's default is DCR
        ("Resize", {"mode": "cubic"}, False),
        ("Resize", {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize"}, False),
        ("Resize", {"mode": "linear"}, True),
        ("Pad", {"mode": "wrap"}, False),
        ("Pad", {}, True),
    ],
)
def test_modes(operator, attributes, fine):
    has = {
        "DepthToSpace": Conditions(modes=("DCR",)),
        "Resize": Conditions(modes=("linear",), coordinates=("half_pixel",)),
        "Pad": Conditions(modes=("constant",)),
    }
    lint = lint_graph(graph(node(operator, "x", "y", **attributes)), device(operators=has))
    assert lint.supported is fine


def test_a_few_numbers_of_a_frame_are_for_the_driver():
    told = {"gains": Tensor((1, 3), "float32"), "g": Tensor((1, 3), "float32")}
    early = graph(node("Tangent", "gains", "g"), node("Mul", "x g", "y"), tensors=told, inputs=("x", "gains"))
    finding = only(early, device("Mul"))
    assert (finding.severity, "driver" in finding.fix) == (Severity.WARNING, True)
    assert lint_graph(early, device("Mul", unsupported=Severity.WARNING)).findings == ()
    late = graph(node("Tangent", "x", "g"), node("Mul", "x g", "y"), tensors=told, inputs=("x", "gains"))
    assert not lint_graph(late, device("Mul")).supported


def test_what_is_made_of_stored_tensors_alone_costs_the_device_nothing():
    nodes = (node("Mystery", "w", "v"), convolution("x v"))
    assert (
        lint_graph(graph(*nodes, tensors={"v": Tensor((16, 16, 3, 3), "float32")}), device()).findings == ()
    )


def test_chance_is_not_fixed():
    noise = graph(Node("noise", "RandomNormal", (), ("n",)), node("Add", "x n", "y"))
    assert found(noise, device("Add"))[Rule.UNSUPPORTED_OPERATOR].nodes == ("noise",)


def test_kernels_made_at_run_time():
    kernel = {"k": Tensor((16, 16, 3, 3), "float32"), "m": Tensor((1, 16, 1, 1), "float32")}
    mixed = graph(
        node("GlobalAveragePool", "x", "m"), node("MatMul", "m w", "k"), convolution("x k"), tensors=kernel
    )
    has = device("GlobalAveragePool", "MatMul")
    finding = found(mixed, has)[Rule.RUNTIME_WEIGHTS]
    assert (finding.severity, finding.nodes) == (Severity.ERROR, ("conv_y",))
    assert "frozen(network, coefficients_over(network, samples))" in finding.fix
    takes_them = device("GlobalAveragePool", "MatMul", runtime_weights=True)
    assert lint_graph(mixed, takes_them).findings == ()
    told = kernel | {"eta": Tensor((1, 16), "float32")}
    given = graph(node("MatMul", "eta w", "k"), convolution("x k"), tensors=told, inputs=("x", "eta"))
    assert "known before the frame comes" in found(given, has)[Rule.RUNTIME_WEIGHTS].fix


def test_control_flow():
    loop = Node("loop", "Loop", ("x",), ("y",), inner=True)
    assert only(graph(loop), device()).rule is Rule.CONTROL_FLOW
    assert lint_graph(graph(loop), device(control_flow=True)).findings == ()


def test_sizes_that_follow_from_values_are_errors_where_they_begin():
    unknown = {"a": Tensor(None, "float32"), "y": Tensor(None, "float32")}
    open_ones = graph(node("Compress", "x", "a"), node("Relu", "a", "y"), tensors=unknown)
    finding = found(open_ones, device("Compress"))[Rule.DYNAMIC_SHAPE]
    assert finding.severity is Severity.ERROR
    assert finding.nodes == ("compress_a",)
    assert lint_graph(open_ones, device("Compress", dynamic_shapes=True)).findings == ()


def test_open_inputs_are_compiled_for_one_size():
    finding = only(graph(node("Relu", "x", "y"), free_inputs=("x",)), device())
    assert (finding.rule, finding.severity) == (Rule.DYNAMIC_SHAPE, Severity.WARNING)
    assert "make_dynamic_shape_fixed" in finding.fix


def test_five_dimensions():
    stacked = {"x": Tensor((1, 3, 4, 64, 64), "float32"), "y": Tensor((1, 12, 64, 64), "float32")}
    reshaped = only(graph(node("Reshape", "x", "y"), tensors=stacked), device("Reshape"))
    assert (reshaped.rule, reshaped.severity) == (Rule.RANK_TOO_HIGH, Severity.WARNING)
    turned = graph(node("Transpose", "x", "y"), tensors=stacked)
    assert only(turned, device("Transpose")).severity is Severity.ERROR
    assert lint_graph(turned, device("Transpose", max_rank=5)).findings == ()


def quantised(kind, weights="int8"):
    """x quantised, dequantised, convolved with quantised weights, and quantised again."""
    held = {"q": Tensor(MAP, kind), "s": Tensor((), "float32", constant=True), "p": Tensor(MAP, kind)}
    held |= {"qw": Tensor((16, 16, 3, 3), weights, constant=True), "dw": Tensor((16, 16, 3, 3), "float32")}
    return graph(
        node("QuantizeLinear", "x s", "q"),
        node("DequantizeLinear", "q s", "d"),
        node("DequantizeLinear", "qw s", "dw"),
        convolution("d dw", "c"),
        node("Relu", "c", "r"),
        node("QuantizeLinear", "r s", "p"),
        node("DequantizeLinear", "p s", "y"),
        tensors=held,
    )


@pytest.mark.parametrize(
    ("kind", "precisions", "fine"),
    [
        ("int8", ("w8a8",), True),
        ("uint8", ("w8a8",), True),
        ("uint16", ("w8a8",), False),
        ("uint16", ("w8a16",), True),
        ("int16", ("w8a16",), True),
        ("int8", ("float16",), False),
    ],
)
def test_quantised_graphs_are_taken_for_integers(kind, precisions, fine):
    lint = lint_graph(quantised(kind), device(precisions=precisions))
    assert lint.supported is fine
    rules = {finding.rule for finding in lint.findings}
    assert Rule.UNSUPPORTED_OPERATOR not in rules
    assert (Rule.EIGHT_BIT_SHADOWS in rules) is (kind in ("int8", "uint8"))


def test_the_advice_about_shadows_is_what_the_device_has():
    for precisions, word in (
        (("w8a8", "w8a16"), "16-bit activations"),
        (("w8a8", "float16"), "16-bit floats"),
    ):
        finding = found(quantised("int8"), device(precisions=precisions))[Rule.EIGHT_BIT_SHADOWS]
        assert word in finding.fix
        assert set(finding.nodes) == {"conv_c", "relu_r"}


def test_weights_alone_in_integers_leave_the_maps_floats():
    stored = {"q": Tensor((16, 16, 3, 3), "int8", constant=True), "w": Tensor((16, 16, 3, 3), "float32")}
    weights_only = graph(
        node("DequantizeLinear", "q s", "w"),
        convolution(),
        tensors=stored | {"s": Tensor((), "", constant=True)},
    )
    assert lint_graph(weights_only, device(precisions=("float32",))).findings == ()


def test_floats_of_32_bits():
    single = graph(convolution())
    refused = only(single, device(precisions=("w8a16",)))
    assert (refused.rule, refused.severity) == (Rule.PRECISION_NOT_SUPPORTED, Severity.ERROR)
    assert "onnx-int8" in refused.fix
    halved = only(single, device(precisions=("float16",), float32_as="float16"))
    assert (halved.severity, "onnx-fp16" in halved.fix) == (Severity.WARNING, True)


def test_a_cast_between_floats_is_no_work_and_hides_no_input():
    stack = (1, 3, 4, 64, 64)
    halves = {"x": Tensor(stack, "float32"), "h": Tensor(stack, "float16"), "r": Tensor(MAP, "float16")}
    halved = graph(node("Cast", "x", "h"), node("Reshape", "h", "r"), node("Cast", "r", "y"), tensors=halves)
    finding = only(halved, device("Reshape", precisions=("float16",)))
    assert (finding.rule, finding.severity) == (Rule.RANK_TOO_HIGH, Severity.WARNING)
    rounded = graph(node("Cast", "x", "y"), tensors={"y": Tensor(MAP, "int32")})
    assert only(rounded, device()).rule is Rule.UNSUPPORTED_OPERATOR


def test_an_opset_that_the_compiler_does_not_read():
    assert only(graph(convolution(), opset=22), device(max_opset=21)).rule is Rule.OPSET_TOO_NEW
    assert lint_graph(graph(convolution(), opset=21), device(max_opset=21)).findings == ()


def test_islands_and_what_crosses_between_them():
    split = graph(
        convolution(output="a"), node("Warp", "a", "b"), convolution("b w", "c"), node("Warp", "c", "d"),
        node("Relu", "d", "y"),
    )  # fmt: skip
    finding = found(split, device())[Rule.CPU_FALLBACK_SPLITS]
    assert "with 2 nodes on the CPU, the accelerator has 3 islands" in finding.reason
    assert "4 feature maps" in finding.reason
    assert Rule.CPU_FALLBACK_SPLITS not in found(split, device(unsupported=Severity.WARNING))
    at_the_end = graph(convolution(output="a"), node("Warp", "a", "y"))
    assert "1 island of" in found(at_the_end, device())[Rule.CPU_FALLBACK_SPLITS].reason


def chain_of(width, many, groups=1):
    """Three convolutions: what goes in and out has 4 channels."""
    weights = {
        "a": Tensor((width, 4, 3, 3), "float32", constant=True),
        "b": Tensor((width, width // groups, 3, 3), "float32", constant=True),
        "c": Tensor((4, width, 3, 3), "float32", constant=True),
    }
    maps = {"x": Tensor((1, 4, 64, 64), "float32"), "y": Tensor((1, 4, 64, 64), "float32")}
    maps |= {name: Tensor((1, width, 64, 64), "float32") for name in ("p", "q")}
    nodes = (
        convolution("x a", "p"),
        convolution("p b", "q", group=groups),
        convolution("q c", "y"),
    )
    return found(graph(*nodes, tensors=weights | maps), device(channel_multiple=many))


def test_channels_that_are_padded():
    assert Rule.CHANNELS_NOT_ALIGNED not in chain_of(16, 16)
    finding = chain_of(14, 16)[Rule.CHANNELS_NOT_ALIGNED]
    # (4·14 + 14·14 + 14·4) MAC a tap become 3 · 16 · 16
    assert f"{3 * 256 / (4 * 14 + 14 * 14 + 14 * 4):.1f} times" in finding.reason
    assert finding.fix == "use width 16 instead of 14: its arithmetic costs the device no more"
    assert chain_of(20, 16)[Rule.CHANNELS_NOT_ALIGNED].fix.endswith("or width 16, which costs less")
    assert "dense convolutions" in chain_of(16, 16, groups=4)[Rule.CHANNELS_NOT_ALIGNED].fix


def test_weights_beyond_the_chip():
    size = 16 * 16 * 9
    assert lint_graph(graph(convolution()), device(on_chip_weight_bytes=2 * size)).findings == ()
    finding = only(graph(convolution()), device(on_chip_weight_bytes=2 * size - 1))
    assert (finding.rule, finding.severity) == (Rule.WEIGHTS_TOO_LARGE, Severity.WARNING)


@dataclass
class Cost:
    macs_per_pixel: float
    bytes_per_pixel: float
    fusible_bytes_per_pixel: float = 0.0
    state_bytes_per_pixel: float = 0.0


def test_budgets_are_those_of_the_roofline():
    rates = DeviceProfile("test", macs_per_second=248.832e9, bytes_per_second=248.832e6 * 8)
    fits = device(rates=rates)  # 1000 MAC and 8 bytes, 2 values of 2 bytes twice, for each pixel of 4K30
    for cost, rule in (
        (Cost(999, 7.9), None),
        (Cost(1010, 7.9), Rule.ARITHMETIC_OVER_BUDGET),
        (Cost(10, 8.1), Rule.TRAFFIC_OVER_BUDGET),
        (Cost(10, 4.0, 0.0, 9.0), Rule.TRAFFIC_OVER_BUDGET),
    ):
        findings = lint_graph(graph(convolution(), cost=cost), fits).findings
        assert [finding.rule for finding in findings] == ([rule] if rule else [])
        assert ("recurrent state" in findings[0].reason if findings else False) is bool(
            cost.state_bytes_per_pixel
        )


def test_every_rule_has_a_test_here():
    text = Path(__file__).read_text("utf-8")
    assert all(f"Rule.{rule.name}" in text for rule in Rule)
