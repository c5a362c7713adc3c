"""What the lint says of networks that the search finds, of what is made of them, and of files by anybody."""

import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import onnx
import pytest
import torch
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.lint import Rule, Severity, shipped_names
from autoisp_core.spec import Spec
from autoisp_isp.cost import count_cost
from autoisp_isp.deploy import frozen, lagged
from autoisp_isp.export import export_onnx
from autoisp_isp.lint import described, lint
from autoisp_isp.network import build
from autoisp_isp.network.block import COEFFICIENTS
from autoisp_testing import graphs
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16

PLAIN = Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), width=16, frames=1)
NETWORKS = {
    "plain": PLAIN,
    "stacked": replace(PLAIN, frames=3, width=20),
    "recurrent": replace(PLAIN, recurrent=1, frames=3),
    "gated": replace(
        PLAIN, block=Spec.code((1, 1, 3, 0, 0), (2, 8, 3, 0, 0), (3, 11, 0, 1, 2), (4, 7, 0, 0, 0))
    ),
    "two scales": replace(PLAIN, block=Spec.code((1, 12, 3, 0, 0), (2, 7, 0, 0, 0)), packing=4, residual=1),
    "grouped": replace(PLAIN, block=Spec.code((1, 9, 3, 0, 0), (2, 7, 0, 0, 0))),
    "predicted kernels": replace(PLAIN, head=1, residual=1),
    "dynamic": replace(PLAIN, block=Spec.code((1, 10, 3, 0, 0), (2, 7, 0, 0, 0)), width=8),
}
SIZE, HALF = {Rule.DYNAMIC_SHAPE}, {Rule.DYNAMIC_SHAPE, Rule.PRECISION_NOT_SUPPORTED}
NARROW = {Rule.CHANNELS_NOT_ALIGNED}  # 16 channels, and the device works on 32
# Whether phone-npu-10 runs it, what is said of that, and what on xnnpack-cpu.
VERDICTS = {
    "plain": (True, HALF | NARROW, set()),
    "stacked": (True, HALF | NARROW | {Rule.RANK_TOO_HIGH}, NARROW),
    "recurrent": (True, HALF | NARROW | {Rule.RANK_TOO_HIGH, Rule.TRAFFIC_OVER_BUDGET}, set()),
    "gated": (True, HALF | NARROW, set()),
    "two scales": (True, HALF | NARROW | {Rule.TRAFFIC_OVER_BUDGET}, {Rule.UNSUPPORTED_OPERATOR}),
    "grouped": (True, HALF | NARROW, NARROW),
    "predicted kernels": (True, HALF | NARROW | {Rule.TRAFFIC_OVER_BUDGET}, {Rule.UNSUPPORTED_OPERATOR}),
    "dynamic": (
        False,
        HALF | NARROW | {Rule.RUNTIME_WEIGHTS, Rule.CPU_FALLBACK_SPLITS},
        {Rule.RUNTIME_WEIGHTS},
    ),
}


def rules(one):
    return {finding.rule for finding in one.findings}


def errors(one):
    return {finding.rule for finding in one.findings if finding.severity is Severity.ERROR}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_the_search_run_on_phones_but_for_dynamic_ones(name):
    fine, on_phone, on_processor = VERDICTS[name]
    phone, processor = lint(export_onnx(build(NETWORKS[name])), ["phone-npu-10", "xnnpack-cpu"])
    assert (phone.supported, rules(phone)) == (fine, on_phone)
    assert (processor.supported, rules(processor)) == (True, on_processor)


def test_a_device_of_integers_takes_no_floats_and_says_which_form_to_deliver():
    (phone,) = lint(export_onnx(build(PLAIN)), ["phone-npu-4"])
    assert errors(phone) == {Rule.PRECISION_NOT_SUPPORTED}
    assert "onnx-int8" in phone.findings[0].fix


def test_grouped_convolutions_are_refused_by_the_oldest_device():
    (phone,) = lint(export_onnx(build(NETWORKS["grouped"])), ["phone-npu-4"])
    assert phone.findings[0].rule is Rule.UNSUPPORTED_OPERATOR
    assert "depthwise" in phone.findings[0].fix


def means(network):
    """Any coefficients: what they are makes no difference to the graph."""
    mixes = [block.get_submodule(f"{COEFFICIENTS}.mix") for block in network.blocks]
    return [[torch.full((network.spec.width, 6), 0.5)] for _ in mixes]


def test_deploy_variants_of_dynamic_networks():
    network = build(NETWORKS["dynamic"])
    (as_found,) = lint(export_onnx(network), ["phone-npu-20"])
    (static,) = lint(export_onnx(frozen(network, means(network))), ["phone-npu-20"])
    (stateful,) = lint(lagged(network, means(network)), ["phone-npu-20"])
    assert errors(as_found) == errors(stateful) == {Rule.RUNTIME_WEIGHTS}
    assert static.supported
    fixes = [
        next(one.fix for one in verdict.findings if one.rule is Rule.RUNTIME_WEIGHTS)
        for verdict in (as_found, stateful)
    ]
    assert ["let the driver mix them" in fix for fix in fixes] == [False, True]


class OneFrame(CalibrationDataReader):
    def __init__(self):
        told = {"gains": np.ones((1, 3)), "ccm": np.eye(3)[None], "noise": np.full((1, 2), 1e-4)}
        told["raw"] = np.random.default_rng(0).random((1, 4, 32, 32))
        self._frames = iter([{name: value.astype(np.float32) for name, value in told.items()}])

    def get_next(self):
        return next(self._frames, None)


@pytest.fixture(scope="module")
def quantised(tmp_path_factory):
    """Makes int8 forms of the plain network: pairs around every operator, or around convolutions."""
    folder = tmp_path_factory.mktemp("quantised")
    (folder / "float.onnx").write_bytes(export_onnx(build(PLAIN)))

    def make(activations, *, only_convolutions=False, own_domain=False):
        options = {"extra_options": {"UseQDQContribOps": own_domain}}
        options["op_types_to_quantize"] = ["Conv"] if only_convolutions else None
        options |= {"activation_type": activations, "weight_type": QuantType.QInt8, "per_channel": True}
        quantize_static(folder / "float.onnx", folder / "int8.onnx", OneFrame(), **options)
        return (folder / "int8.onnx").read_bytes()

    return make


@pytest.mark.parametrize("own_domain", [False, True])
def test_quantised_networks_run_on_integers(quantised, own_domain):
    eight = lint(quantised(QuantType.QUInt8, own_domain=own_domain), shipped_names())
    sixteen = lint(quantised(QuantType.QUInt16, own_domain=own_domain), shipped_names())
    for verdict in (*eight, *sixteen):
        assert verdict.supported
        assert Rule.UNSUPPORTED_OPERATOR not in rules(verdict)
    assert all(Rule.EIGHT_BIT_SHADOWS in rules(verdict) for verdict in eight)
    assert not any(Rule.EIGHT_BIT_SHADOWS in rules(verdict) for verdict in sixteen)
    assert Rule.PRECISION_NOT_SUPPORTED in rules(sixteen[-1])  # XNNPACK has no 16-bit activations


def test_floats_around_quantised_convolutions_are_left_to_the_cpu(quantised):
    integers, both = lint(
        quantised(QuantType.QUInt16, only_convolutions=True), ["phone-npu-4", "phone-npu-10"]
    )
    assert errors(integers) == {Rule.PRECISION_NOT_SUPPORTED}
    assert "quantise these too" in integers.findings[0].fix
    assert both.supported
    (split,) = [one for one in integers.findings if one.rule is Rule.CPU_FALLBACK_SPLITS]
    assert "has 1 island of" in split.reason


@pytest.mark.parametrize("name", NETWORKS)
def test_costs_are_those_of_a_graph_that_runs(name):
    model = export_onnx(build(NETWORKS[name]))
    counted, seen = count_cost(model), described(model).cost
    assert seen.macs_per_pixel == pytest.approx(counted.macs_per_pixel, rel=1e-3)
    assert seen.bytes_per_pixel == pytest.approx(counted.bytes_per_pixel, rel=0.02)
    assert seen.fusible_bytes_per_pixel == pytest.approx(counted.fusible_bytes_per_pixel, rel=0.02)
    assert seen.state_bytes_per_pixel == counted.state_bytes_per_pixel


def test_a_quantised_graph_costs_what_it_did(quantised):
    floats, integers = described(export_onnx(build(PLAIN))).cost, described(quantised(QuantType.QUInt8)).cost
    assert integers.macs_per_pixel == floats.macs_per_pixel
    assert integers.bytes_per_pixel == pytest.approx(floats.bytes_per_pixel, rel=0.1)


def sorted_graph(model):
    """The converter puts its casts at the end."""
    known = {value.name for value in (*model.graph.input, *model.graph.initializer)} | {""}
    waiting, done = list(model.graph.node), []
    while waiting:
        ready = [node for node in waiting if known.issuperset(node.input)]
        assert ready
        known.update(name for node in ready for name in node.output)
        done += ready
        waiting = [node for node in waiting if not known.issuperset(node.output)]
    del model.graph.node[:]
    model.graph.node.extend(done)
    return model


def test_half_precision_is_taken_as_such():
    recurrent = replace(PLAIN, recurrent=1, frames=3)
    floats = onnx.load_model_from_string(export_onnx(build(recurrent)))
    model = sorted_graph(convert_float_to_float16(floats, keep_io_types=True)).SerializeToString()
    (phone,) = lint(model, ["phone-npu-10"])
    assert phone.supported
    assert rules(phone) == VERDICTS["recurrent"][1] - {Rule.PRECISION_NOT_SUPPORTED}
    whole, half = described(floats.SerializeToString()).cost, described(model).cost
    assert half.macs_per_pixel == whole.macs_per_pixel
    assert half.bytes_per_pixel == whole.bytes_per_pixel
    assert half.state_bytes_per_pixel == whole.state_bytes_per_pixel


# Files by anybody.


def model_of(*nodes, tensors=(), opset=18, inputs=None, functions=(), domains=()):
    """x (1, 4, 64, 64) to y, of no known size."""
    given = inputs or [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 64, 64])]
    graph = helper.make_graph(
        list(nodes),
        "g",
        given,
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", "C", "H", "W"])],
        list(tensors),
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10, functions=list(functions))
    return model.SerializeToString()


def refused(model):
    with pytest.raises(InvalidArgumentError) as caught:
        lint(model, shipped_names())
    assert caught.value.field == "model"
    return caught.value.message


def test_no_onnx_at_all():
    assert "not a valid ONNX model" in refused(b"no graph")


def test_a_cycle():
    nodes = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    assert "not a valid ONNX model" in refused(model_of(*nodes, helper.make_node("Relu", ["b"], ["y"])))


def test_weights_in_another_file():
    assert "in another file" in refused(graphs.outside("/etc/passwd", "graph"))


def test_a_function_that_calls_itself():
    call = helper.make_node("Own", ["x"], ["y"], domain="own")
    again = helper.make_function("own", "Own", ["x"], ["y"], [call], [helper.make_opsetid("own", 1)])
    refused(model_of(call, functions=[again], domains=["own"]))


def test_too_many_nodes():
    names = ["x", *(f"v{place}" for place in range(20_000)), "y"]
    nodes = [helper.make_node("Relu", [one], [two]) for one, two in pairwise(names)]
    assert "20,001 nodes" in refused(model_of(*nodes))


@pytest.mark.parametrize(
    "nodes",
    [
        [helper.make_node("NonZero", ["x"], ["i"]), helper.make_node("Cast", ["i"], ["y"], to=1)],
        [helper.make_node("Mystery", ["x"], ["y"], domain="who.knows")],
        [helper.make_node("Unique", ["x"], ["y"])],
    ],
)
def test_sizes_that_nobody_knows(nodes):
    (verdict,) = lint(model_of(*nodes, domains=["who.knows"]), ["phone-npu-10"])
    assert not verdict.supported
    assert described(model_of(*nodes, domains=["who.knows"])).cost is None


def test_control_flow_inside_a_graph():
    (verdict,) = lint(graphs.endless(), ["phone-npu-10"])
    assert Rule.CONTROL_FLOW in errors(verdict)


def test_sizes_that_would_fill_the_memory():
    huge = numpy_helper.from_array(np.array([1 << 20, 1 << 20], np.int64), "s")
    nodes = [helper.make_node("ConstantOfShape", ["s"], ["c"]), helper.make_node("ReduceSum", ["c"], ["r"])]
    nodes.append(helper.make_node("Add", ["x", "r"], ["y"]))
    assert len(described(model_of(*nodes, tensors=[huge])).nodes) == 3


def test_what_doubles_at_every_node_stays_small():
    names = ["s0", *(f"s{place}" for place in range(1, 60))]
    start = numpy_helper.from_array(np.ones(2, np.int64), "s0")
    nodes = [helper.make_node("Concat", [one, one], [two], axis=0) for one, two in pairwise(names)]
    nodes.append(helper.make_node("Relu", ["x"], ["y"]))
    assert len(described(model_of(*nodes, tensors=[start])).nodes) > 50


def test_names_that_a_terminal_would_obey():
    node = helper.make_node("Warp", ["x"], ["y"], name="\x1b[2J" + "n" * 500, domain="\x1b[1m")
    (verdict,) = lint(model_of(node, domains=["\x1b[1m"]), ["phone-npu-10"])
    told = "".join(one.reason + one.fix + "".join(one.nodes) for one in verdict.findings)
    assert told.isprintable()
    assert max(len(name) for one in verdict.findings for name in one.nodes) <= 220


def test_nodes_without_names_get_some():
    nodes = [helper.make_node("Warp", [one], [two], domain="own") for one, two in pairwise("xay")]
    (verdict,) = lint(model_of(*nodes, domains=["own"]), ["phone-npu-10"])
    assert len(set(verdict.findings[0].nodes)) == 2
    assert all("Warp" in name for name in verdict.findings[0].nodes)


def test_damaged_files_are_refused_or_linted():
    model = bytearray(export_onnx(build(replace(PLAIN, width=4))))
    draw = random.Random(0)
    seen = {True: 0, False: 0}
    for _ in range(150):
        damaged = bytearray(model)
        for _ in range(draw.randint(1, 3)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        try:
            lint(bytes(damaged), shipped_names())
            seen[True] += 1
        except InvalidArgumentError:
            seen[False] += 1
    assert min(seen.values()) > 10
