"""The report of a finished job."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import onnx
import pytest
from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp_cli.report import charts, discovery, network, story, write_report
from autoisp_cli.report.block import draw
from autoisp_cli.report.figures import duration, number
from autoisp_cli.report.page import render
from autoisp_cli.report.result import result
from autoisp_cli.report.snippet import snippet
from autoisp_cli.report.svg import Scale, floor
from autoisp_cli.views.words import result_lines
from autoisp_core.errors import ResourceExhaustedError
from autoisp_core.spec import Spec, anchor_specs
from report_outcome import SPEC, make_outcome


class Balanced(HTMLParser):
    """Fails on an element that is closed by another, and collects what is loaded from elsewhere."""

    VOID = frozenset({"meta", "img", "link", "br"})

    def __init__(self):
        super().__init__()
        self.open, self.links = [], []

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href") and value]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def text_of(page):
    return re.sub(r"<[^>]+>", " ", page)


def test_the_page_is_well_formed_and_self_contained():
    page = render(make_outcome())
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert parser.links
    assert all(link.startswith("data:image/png;base64,") for link in parser.links)
    assert "http" not in page
    assert "@import" not in page


def test_the_page_says_what_was_found():
    text = " ".join(text_of(render(make_outcome())).split())
    for words in (
        "Found a network at 1/123 of the prototype's arithmetic, +1.5 dB on 1 unseen clip".replace(
            "'", "&#39;"
        ),
        "+1.46 dB",
        "carphone, frame 60",
        "Noisy input",
        "budget 3,554",
        "chosen",
        "depthwise",
        "models/tune-0a1b2c3d4e5f/versions/1",
        "builtin:phone",
        "predictor (the default)",
        "on the front",
        "looked for a front of quality and arithmetic; 7 trials stand on the front",
        "the best proposed network (of 12) is 0.37 dB above the best known design (of 4)",
        "rank correlation with what was measured is 0.81",
        "off by 6 % (median)",
        "proposed by predictor",
    ):
        assert words in text


def test_an_opaque_prototype_is_compared_by_time():
    outcome = make_outcome(opaque=True)
    figures = result(outcome)
    assert figures["mac_ratio"] is None
    assert figures["macs_per_pixel_prototype"] is None
    assert figures["latency_ratio"] == pytest.approx(6.7 / 0.0481)
    assert "139× faster than the prototype" in figures["verdict"]
    assert "ms per output megapixel" in text_of(render(outcome))


def test_what_did_not_pass_says_so():
    outcome = make_outcome(passed=False)
    assert result(outcome)["passed"] is False
    assert outcome.verdict().startswith("No network passed every check")
    assert "not passed" in text_of(render(outcome))


def test_a_clip_that_was_not_judged_says_why_and_does_not_count():
    outcome = make_outcome(passed=False)
    failure = common_pb2.Failure(reason="CLIP_UNREADABLE", message="frame 7 is damaged")
    state = evaluation_pb2.EVALUATION_STATE_FAILED
    outcome.evaluation.clips.add(clip="clips/c2", display_name="bridge", state=state, failure=failure)
    figures = result(outcome)
    assert figures["test_clips"] == ["carphone"]
    assert figures["verdict"].endswith("on 1 unseen clip")
    good, bad = figures["clips"]
    assert (good["failure"], bad["failure"]) == (None, "CLIP_UNREADABLE: frame 7 is damaged")
    assert (bad["frames"], bad["psnr_model"]) == (0, None)
    page = render(outcome)
    assert "not judged, CLIP_UNREADABLE: frame 7 is damaged" in text_of(page)
    assert ">0.00<" not in page
    assert "not judged: bridge, CLIP_UNREADABLE: frame 7 is damaged" in result_lines(figures)


def test_user_text_is_escaped():
    outcome = make_outcome()
    outcome.evaluation.clips[0].display_name = "<script>alert(1)</script>"
    assert "<script>" not in render(replace(outcome, command="a <b> & c"))


def test_without_pictures_and_spec_the_page_is_still_there():
    outcome = replace(make_outcome(), pictures={})
    outcome.version.spec = "{}"
    page = render(outcome)
    assert "Look at it" not in page
    assert "The found network" not in page


def test_the_files_are_written_whole(tmp_path):
    figures = write_report(make_outcome(), tmp_path / "deep" / "report")
    folder = tmp_path / "deep" / "report"
    assert sorted(path.name for path in folder.iterdir()) == ["index.html", "result.json"]
    assert json.loads((folder / "result.json").read_text()) == figures
    wanted = {
        *("psnr_prototype", "psnr_model", "ssim_prototype", "ssim_model", "macs_per_pixel", "mac_ratio"),
        *("latency_ratio", "test_clips", "trials", "model_version", "onnx"),
    }
    assert wanted <= figures.keys()
    assert figures["onnx"] == str(folder / "model.onnx")
    assert (figures["trials"], figures["test_clips"]) == (26, ["carphone"])


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ResourceExhaustedError, match="--out") as caught:
        write_report(make_outcome(), tmp_path / "file")
    assert "file" in caught.value.message


@pytest.mark.parametrize("spec", [SPEC, *anchor_specs(3000)[:4]], ids=lambda spec: f"{len(spec.block)}")
def test_every_layer_of_a_block_is_drawn(spec):
    drawn = draw(spec)
    assert drawn.count("<rect") == len(spec.block) + 1  # its layers less the terminal, in and out
    assert "nan" not in drawn


def test_what_is_around_the_block_is_drawn():
    plain = network.draw(SPEC)
    assert [word in plain for word in ("state", "demosaic", "add", "kernels")] == [False] * 4
    assert plain.count("<rect") == 5
    full = network.draw(replace(SPEC, recurrent=1, residual=1, head=1, frames=1, packing=8))
    for words in ("1 raw frame<", "packed 8×8", "fuse state", "to the next frame", "conv 3×3, kernels"):
        assert words in full
    assert "apply, add" in full
    assert full.count("<rect") == 8  # with the state's fusion, the join and the demosaic
    assert "apply kernels" in network.draw(replace(SPEC, head=1))
    assert "a correction" in network.draw(replace(SPEC, residual=1))


def test_kernels_that_accelerators_refuse_are_told():
    outcome = make_outcome()
    assert "deploy the frozen or the lagged variant" not in render(outcome)
    block = Spec.code((1, 10, 3, 0, 0), (2, 7, 0, 0, 0))
    outcome.version.spec = replace(SPEC, block=block).to_json()
    page = render(outcome)
    assert "deploy the frozen or the lagged variant" in page
    assert ">dynamic<" in page


def test_groups_are_told():
    grouped = Spec.code((1, 9, 5, 0, 0), (2, 12, 3, 1, 0), (3, 7, 0, 0, 0))
    drawn = draw(Spec(block=grouped, width=16))
    assert "5×5, 4 groups" in drawn
    assert "half-size" in drawn


def test_a_front_is_of_what_networks_can_do_after_their_longest_training():
    outcome = make_outcome()
    lucky, later = outcome.trials[5], outcome.trials[18]
    lucky.quality.psnr_db, lucky.cost.macs_per_pixel = 40.0, 300.0
    later.spec_hash, later.cost.macs_per_pixel = lucky.spec_hash, 300.0
    (axis,) = charts.cost_axes(outcome.search)

    def steps():
        (line,) = re.findall(r'd="([^"]*)" class="front"', charts.pareto(outcome, axis))
        return line.count("V")

    assert steps() > 0
    later.spec_hash = "of another network"
    assert steps() == 0  # nothing beats the lucky one


def test_a_chart_for_each_cost_that_counts():
    def labels(outcome):
        return [axis.label.split()[0] for axis in charts.cost_axes(outcome.search)]

    outcome = make_outcome()
    assert labels(outcome) == ["multiply-accumulates"]
    outcome.search.objectives[:] = ["quality", "latency"]
    assert labels(outcome) == ["multiply-accumulates", "ms"]  # one is limited, the other wanted
    outcome.search.ClearField("macs_per_pixel_limit")
    assert labels(outcome) == ["ms"]
    outcome.search.ClearField("objectives")
    assert labels(outcome) == ["multiply-accumulates"]
    assert labels(make_outcome(opaque=True)) == ["multiply-accumulates", "ms"]


def test_the_best_so_far_never_falls_and_tells_where_networks_came_from():
    outcome = make_outcome()
    chart = discovery.draw(outcome)
    marks = {kind: chart.count(f'class="dot {kind}"') for kind in ("opener", "proposed", "promoted")}
    assert marks == {"opener": 4, "proposed": 12, "promoted": 8}
    (line,) = re.findall(r'd="([^"]*)" class="line model"', chart)
    heights = [float(height) for height in re.findall(r"V([\d.]+)", line)]
    assert heights == sorted(heights, reverse=True)  # up is down in SVG
    assert discovery.draw(replace(outcome, trials=outcome.trials[:1])) == ""


def test_the_chosen_network_is_told_by_its_first_trial():
    outcome = make_outcome()
    outcome.best_trial.parent = outcome.trials[20].name
    outcome.trials[20].parent = outcome.trials[6].name
    # The seventh, and one before it was over the budget.
    assert "The chosen network was first tried as number 6 of 24." in story.sentences(outcome)


def test_boxes_do_not_overlap():
    chain = Spec.code(
        *((i, 1, 3, i - 1, 0) for i in range(1, 6)), (6, 5, 0, 5, 1), (7, 5, 0, 6, 2), (8, 7, 0, 0, 0)
    )
    drawn = draw(Spec(block=chain, width=8))
    boxes = [
        tuple(float(re.search(rf' {name}="([\d.]+)"', box)[1]) for name in ("x", "y"))
        for box in re.findall(r"<rect[^>]*>", drawn)
    ]
    assert len(set(boxes)) == len(boxes)


def test_the_snippet_runs_as_it_stands(tmp_path):
    names = {"raw": ["n", 3, 4, "h", "w"], "gains": ["n", 3], "ccm": ["n", 3, 3], "noise": ["n", 2]}
    inputs = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in names.items()
    ]
    output = onnx.helper.make_tensor_value_info("srgb", onnx.TensorProto.FLOAT, ["n", 3, 4, "h", "w"])
    node = onnx.helper.make_node("Identity", ["raw"], ["srgb"])
    graph = onnx.helper.make_graph([node], "g", inputs, [output])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, tmp_path / "model.onnx")
    code = snippet(replace(make_outcome(), inputs=names))
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("(1, 3, 4, 136, 240)")


def test_the_snippet_of_a_recurrent_network_carries_its_state(tmp_path):
    def value(name, *shape):
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    shapes = {"raw": ("n", 4, "h", "w"), "state": ("n", 8, "h/2", "w/2"), "state_valid": ("n", 1)}
    inputs = [value(name, *shape) for name, shape in shapes.items()]
    outputs = [value("srgb", *shapes["raw"]), value("state_out", *shapes["state"])]
    outputs.append(value("state_valid_out", 1, 1))
    one = onnx.helper.make_tensor("one", onnx.TensorProto.FLOAT, [1, 1], [1.0])
    nodes = [
        onnx.helper.make_node("Add", ["raw", "state_valid"], ["srgb"]),
        onnx.helper.make_node("Identity", ["state"], ["state_out"]),
        onnx.helper.make_node("Constant", [], ["state_valid_out"], value=one),
    ]
    graph = onnx.helper.make_graph(nodes, "g", inputs, outputs)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, tmp_path / "model.onnx")
    code = snippet(replace(make_outcome(), inputs=shapes))
    assert "np.zeros((1, 8, 68, 120), np.float32)" in code
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    # From the second frame on the state is valid: 0.2 + 1.
    assert ran.stdout.startswith("(1, 4, 136, 240) 1.2")


def test_numbers_as_people_read_them():
    assert [number(v) for v in (None, 0.04812, 48.12, 355440.0)] == ["–", "0.04812", "48.12", "355\u202f440"]
    assert [duration(s) for s in (5, 65, 3700)] == ["5 s", "1 min 05 s", "1 h 01 min"]


def test_ticks_lie_within_their_scale():
    for scale in (
        Scale(0.3, 9.7, 0, 100),
        Scale(2, 90_000, 0, 100, log=True),
        Scale(28.1, 28.4, 0, 100),
        Scale(41, 66, 0, 9, log=True),
    ):
        ticks = scale.ticks()
        assert 2 <= len(ticks) <= 12
        assert all(-1e-6 <= scale(tick) <= 100 + 1e-6 for tick in ticks)


def test_one_network_far_below_does_not_squeeze_the_others():
    outcome = make_outcome()
    bad = outcome.trials[6]
    bad.quality.psnr_db = 4.1
    (axis,) = charts.cost_axes(outcome.search)
    for chart in (charts.pareto(outcome, axis), discovery.draw(outcome)):
        ticks = re.findall(r'class="tick" text-anchor="end">([\d.]+)<', chart)
        assert min(map(float, ticks)) > 15
        assert chart.count("↓ 4.1") == 1
        assert "4.10 dB" in chart  # in the dot's title
    assert floor([4.1, 4.1, 25.9, 26.5, 26.6, 27.7, 29.0]) == pytest.approx(25.9 - 2 * 3.1)
    assert floor([25.0, 25.0]) == 25.0
    assert floor([21.8, 22.1, 22.6, 27.6, 28.0, 28.1]) == 21.8  # a whole rung is no exception
