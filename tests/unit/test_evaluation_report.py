"""The report of an evaluation: page, JSON and CSV."""

import csv
import io
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp_cli.report.evaluation import Judged, write_evaluation
from autoisp_cli.report.evaluation.colours import colours
from autoisp_cli.report.evaluation.document import document
from autoisp_cli.report.evaluation.frames_csv import as_text, frames_csv
from autoisp_cli.report.evaluation.gallery import SHOT_BYTES, gallery, wanted
from autoisp_cli.report.evaluation.judged import best_interval, results_of
from autoisp_cli.report.evaluation.page import render
from autoisp_cli.report.evaluation.plots import decimated, segments
from autoisp_cli.report.evaluation.tables import bytes_text, fps_text
from autoisp_cli.report.evaluation.words import (
    comparison_text,
    interval_text,
    outcome_lines,
    verdict,
    verdict_text,
)
from autoisp_cli.report.svg import Scale
from autoisp_core.errors import ResourceExhaustedError
from autoisp_core.quality import METRICS
from judged_evaluation import BETTER, SAME, UNDECIDED, WORSE, make_judged

HOSTILE = '<script>alert("1")</script>&\'[red]'


class Page(HTMLParser):
    """Fails on an element that is closed by another; collects what would be loaded, texts and plots."""

    VOID = frozenset({"meta", "img", "link", "br", "input"})

    def __init__(self, page):
        super().__init__()
        self.open, self.links, self.words, self.series, self.tags = [], [], [], [], []
        self.feed(page)
        self.text = " ".join(" ".join(self.words).split())
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href") and value]
        if (found.get("class") or "").startswith("series"):
            self.series.append((found["data-label"], found["d"]))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)


@pytest.fixture(scope="module")
def judged():
    return make_judged()


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(judged):
    page = render(judged)
    found = Page(page)
    assert found.links
    assert all(link.startswith("data:image/png;base64,") for link in found.links)
    assert not re.search(r"https?:|@import|url\(", page)


def test_the_page_says_who_is_better_and_how_sure_that_is(judged):
    text = Page(render(judged)).text
    for words in (
        "model is better than prototype: +1.44 dB PSNR on 3 clips",
        "gate passed",
        "✓ psnr at least 0.1 better than prototype",
        "74 fps fits 4K30 on phone-npu-10, bound by traffic",
        "misses 4K30 at phone-gpu-2 21 fps, bound by arithmetic",
        "carphone, frame 30",
        "carphone, frame 20: model’s PSNR 27.90 dB",
        "models/night/versions/1",
        "builtin:phone, noise shot 0.01, read 0.0005",
        "PSNR ↑",
        "Flicker ↓",
    ):
        assert words in text


def test_a_line_is_broken_where_frames_have_no_value(judged):
    drawn = [d for label, d in Page(render(judged)).series if label == "model"]
    gaps = [d.count("M") for d in drawn]
    assert gaps.count(2) == 3  # flicker, of which frames 20 to 23 have none, on three clips
    assert set(gaps) == {1, 2}
    assert "NaN" not in "".join(drawn).upper()


def test_clips_that_were_not_judged_say_why_and_don_t_count():
    judged = make_judged(failed=("bikes",), gate=None)
    assert not judged.passed
    text = Page(render(judged)).text
    assert "judged in part" in text
    assert "bikes NAN_OUTPUT model gave a NaN at frame 7" in text
    assert "on 2 clips" in verdict(judged)
    figures = document(judged)
    assert figures["clips"][1]["failure"] == {
        "reason": "NAN_OUTPUT",
        "message": "model gave a NaN at frame 7",
    }
    assert figures["clips"][1]["subjects"] == []
    assert {row["clip_name"] for row in rows_of(judged)} == {"carphone", "kitchen"}
    assert "not judged: bikes, model gave a NaN at frame 7" in outcome_lines(judged)


def test_a_failed_gate_is_seen_at_once():
    judged = make_judged(clips=("street",), gate=False, frames=6)
    text = Page(render(judged)).text
    assert not judged.passed
    assert "gate failed" in text
    assert "✗ flicker at most 1 code: 2.00" in text
    assert "gate: ✗ flicker at most 1 code: 2.00" in outcome_lines(judged)


def test_one_clip_says_nothing_of_others():
    judged = make_judged(clips=("street",), frames=24)
    text = Page(render(judged)).text
    assert "for other frames of these clips" in text
    assert "inf" not in text.replace("infer", "")
    total = document(judged)["totals"][0]["metrics"]["psnr"]
    assert total["across"]["low"] is total["across"]["high"] is None
    assert total["within"]["low"] < total["mean"] < total["within"]["high"]


@pytest.mark.parametrize(
    ("clips", "scope"), [(4, "other frames of these clips"), (5, "other clips of the same kind")]
)
def test_intervals_are_for_other_clips_once_there_are_enough(clips, scope):
    judged = make_judged(clips=tuple(f"street {number}" for number in range(clips)), frames=6, pictures=False)
    assert f"95 % of the time for {scope}" in Page(render(judged)).text
    psnr = results_of(judged.total("model"))["psnr"]
    shown = psnr.across if clips == 5 else psnr.within
    assert best_interval(psnr) == shown
    assert f"({interval_text(METRICS['psnr'], shown)})" in outcome_lines(judged)[1]


def test_one_cause_stands_for_all_where_nothing_was_judged():
    evaluation = make_judged(clips=("street", "kitchen"), failed=("street", "kitchen")).evaluation
    evaluation.state = evaluation_pb2.EVALUATION_STATE_FAILED
    evaluation.failure.message = "no clip could be judged by every subject: street: …; kitchen: …"
    assert verdict(Judged(evaluation)) == "Nothing could be judged: model gave a NaN at frame 7"


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED", "RUNNING"])
def test_what_has_not_ended_well_has_a_page_too(state):
    evaluation = evaluation_pb2.Evaluation(
        name="evaluations/e", state=evaluation_pb2.EvaluationState.Value(f"EVALUATION_STATE_{state}")
    )
    evaluation.clips.add(clip="clips/c", state=evaluation.state)
    if state == "FAILED":
        evaluation.failure.message = "no clip could be read"
    judged = Judged(evaluation)
    words = {"FAILED": "no clip could be read", "CANCELLED": "Cancelled after 0 clips of 1"}
    assert words.get(state, "0 clips of 1 so far") in Page(render(judged)).text
    assert not judged.passed
    assert frames_csv(judged).startswith("clip,")
    json.dumps(document(judged), allow_nan=False)


def test_frames_without_truth_have_only_some_metrics():
    judged = make_judged(clips=("street",), labels=("model",), metrics=("psnr", "flicker"), frames=8)
    result = judged.evaluation.clips[0].subjects[0]
    for item in (result.metrics[0], judged.evaluation.totals[0].metrics[0]):
        item.ClearField("within")
        item.ClearField("across")
        item.values[:] = [math.nan] * len(item.values)
    found = Page(render(judged))
    assert len(found.series) == 1  # of flicker: psnr, which no frame has, has neither row nor plot
    assert "PSNR ↑" not in found.text
    assert document(judged)["clips"][0]["subjects"][0]["metrics"]["psnr"]["values"] == [None] * 8
    assert {row["psnr"] for row in rows_of(judged)} == {""}
    total = document(judged)["totals"][0]["metrics"]["psnr"]
    assert total["mean"] is total["within"]["mean"] is total["within"]["low"] is None
    assert any(line.startswith("model: flicker 2.") for line in outcome_lines(judged))


def test_evaluations_from_before_other_metrics_are_read():
    evaluation = evaluation_pb2.Evaluation(state=evaluation_pb2.EVALUATION_STATE_SUCCEEDED)
    evaluation.subjects.add(label="model")
    quality = common_pb2.Quality(psnr_db=30.5, ssim=0.9)
    clip = evaluation.clips.add(clip="clips/c", state=evaluation.state)
    result = clip.subjects.add(label="model", quality=quality)
    result.frames.add(frame=3, quality=quality)
    evaluation.totals.add(label="model", quality=quality)
    judged = Judged(evaluation)
    assert verdict(judged) == "model has 30.50 dB PSNR on 1 clip"
    assert list(rows_of(judged)) == [
        {"clip": "clips/c", "clip_name": "", "frame": "3", "subject": "model", "psnr": "30.5", "ssim": "0.9"}
    ]
    assert "30.50" in Page(render(judged)).text


def test_names_from_outside_are_text_wherever_they_stand():
    judged = make_judged(clips=(HOSTILE,), labels=("prototype", HOSTILE), frames=4)
    judged.evaluation.gate_report.checks[0].text = HOSTILE
    judged.evaluation.dataset = HOSTILE
    page = render(judged)
    found = Page(page)
    assert found.tags.count("script") == 1
    assert HOSTILE in found.text
    for attribute in re.findall(r'(?:alt|data-label|data-title|aria-label)="([^"]*)"', page):
        assert "<" not in attribute


def test_sixteen_subjects_have_colours_of_their_own():
    labels = ("prototype", "model", *(f"other{place}" for place in range(14)))
    assert len({colour.name for colour in colours(labels).values()}) == 16
    assert colours(labels)["model"] == colours(["a", "model"])["model"]
    judged = make_judged(clips=("street",), labels=labels, metrics=("psnr",), frames=3, pictures=False)
    assert len(Page(render(judged)).series) == 16


def test_a_hundred_thousand_values_are_a_page_of_few_megabytes(judged):
    evaluation = evaluation_pb2.Evaluation()
    evaluation.CopyFrom(judged.evaluation)
    for clip in evaluation.clips:
        for result in clip.subjects:
            count = 100_000 // (3 * 2 * len(result.metrics))
            del result.frames[:]
            result.frames.extend(evaluation_pb2.FrameResult(frame=frame) for frame in range(count))
            for item in result.metrics:
                item.values[:] = [item.within.mean + math.sin(frame * 0.7) for frame in range(count)]
    assert len(render(Judged(evaluation)).encode()) < 3_000_000


def test_plots_keep_what_stands_out():
    points = [(frame, 30.0 + (frame % 7) / 10) for frame in range(10_000)]
    points[5_003] = (5_003, 12.0)
    points[7_777] = (7_777, 45.0)
    found = decimated(points, Scale(0, 9_999, 0, 400))
    values = [value for _, value in found]
    assert len(found) <= 2 * 401
    assert (min(values), max(values)) == (12.0, 45.0)
    assert [at for at, _ in found] == sorted(at for at, _ in found)
    few = points[:5]
    assert [value for _, value in decimated(few, Scale(0, 4, 0, 400))] == [value for _, value in few]


def test_runs_of_values():
    nan = math.nan
    assert segments([(0, nan), (1, 2.0), (2, 3.0), (3, nan), (4, nan), (5, 1.0)]) == [
        [(1, 2.0), (2, 3.0)],
        [(5, 1.0)],
    ]
    assert segments([]) == segments([(0, nan)]) == []


def rows_of(judged):
    return csv.DictReader(io.StringIO(frames_csv(judged), newline=""))


def test_the_csv_has_every_value_once(judged):
    rows = list(rows_of(judged))
    assert len(rows) == 3 * 2 * 60
    assert len({(row["clip"], row["frame"], row["subject"]) for row in rows}) == len(rows)
    clip = judged.evaluation.clips[1]
    ours = [row for row in rows if (row["clip"], row["subject"]) == (clip.clip, "model")]
    model = clip.subjects[1]
    for item in model.metrics:
        for row, value in zip(ours, item.values, strict=True):
            if math.isnan(value):
                assert row[item.metric] == ""
            else:
                assert float(row[item.metric]) == pytest.approx(value, rel=1e-6)
    assert frames_csv(judged).count("\r\n") == len(rows) + 1


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_no_name_is_a_formula(name):
    judged = make_judged(clips=(name,), labels=("model",), metrics=("psnr",), frames=2, pictures=False)
    assert [row["clip_name"] for row in rows_of(judged)] == ["'" + name] * 2


@pytest.mark.parametrize("name", ["plain", 'with "quotes", commas', "two\nlines", "日本"])
def test_other_names_stay_as_they_are(name):
    assert as_text(name) == name
    judged = make_judged(clips=(name,), labels=("model",), metrics=("psnr",), frames=1, pictures=False)
    assert [row["clip_name"] for row in rows_of(judged)] == [name]


def test_the_json_has_every_figure(judged):
    figures = json.loads(json.dumps(document(judged), allow_nan=False))
    assert figures["verdict"] == verdict(judged)
    assert (figures["passed"], figures["state"], figures["split"]) == (True, "succeeded", "test")
    assert figures["metrics"][2] == {
        "name": "flicker",
        "unit": "code",
        "better": "lower",
        "summary": "change between frames where the truth stands still",
    }
    assert figures["subjects"][1] == {"label": "model", "source": "models/night/versions/1"}
    model = figures["clips"][0]["subjects"][1]
    wire = judged.evaluation.clips[0].subjects[1]
    assert model["frames"] == list(range(60))
    assert model["metrics"]["flicker"]["values"][0] is None
    assert model["metrics"]["psnr"]["values"] == pytest.approx(list(wire.metrics[0].values), rel=1e-6)
    assert model["metrics"]["psnr"]["mean"] == pytest.approx(wire.metrics[0].within.mean)
    comparison = figures["comparisons"][0]
    assert (comparison["metric"], comparison["verdict"], comparison["scope"]) == (
        "psnr",
        "better",
        "other_clips",
    )
    assert figures["gate"]["checks"][0] == {
        "passed": True,
        "text": "psnr at least 0.1 better than prototype: +1.46",
        "value": 1.46,
        "bound": 0.1,
    }
    assert figures["totals"][1]["devices"][0]["fits_4k30"] is True
    assert figures["totals"][0]["latency"]["provider"] is None
    assert figures["clips"][0]["worst"] == [{"label": "model", "metric": "psnr", "frame": 20, "value": 27.9}]
    short = document(judged, frames=False)
    assert "values" not in json.dumps(short)
    assert short["totals"] == figures["totals"]


def test_all_files_are_written_or_the_error_says_why(judged, tmp_path):
    figures = write_evaluation(judged, tmp_path / "new" / "report")
    folder = tmp_path / "new" / "report"
    assert json.loads((folder / "evaluation.json").read_text()) == figures
    assert (folder / "frames.csv").read_bytes().startswith(b"clip,clip_name,frame,subject,psnr,ssim,")
    assert (folder / "index.html").read_text() == render(judged)
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceExhaustedError, match="--out"):
        write_evaluation(judged, tmp_path / "file" / "report")


def test_the_gallery_shows_every_clip_before_any_twice(judged):
    shown = gallery(judged)
    assert [shot.title for shot in shown.shots[:4]] == [
        *("carphone, frame 0", "bikes, frame 0", "kitchen, frame 0", "carphone, frame 30")
    ]
    assert [picture.kind for picture in shown.shots[0].pictures] == ["noisy", "prototype", "model", "truth"]
    assert shown.left_out == 0
    clip = judged.evaluation.clips[0]
    theirs = evaluation_pb2.WorstFrame(label="prototype", metric="psnr", frame=1, pictures=clip.pictures[:1])
    other = evaluation_pb2.Evaluation(subjects=judged.evaluation.subjects)
    other.clips.add(clip="clips/c0", worst=[theirs, clip.worst[0]])
    assert [case.title.split(": ")[1][:5] for case in gallery(Judged(other, judged.pictures)).worst] == [
        "model",
        "proto",
    ]
    needed = {picture.png.sha256 for picture in wanted(judged.evaluation)}
    assert needed == set(judged.pictures)


def test_the_gallery_has_an_end(judged):
    evaluation = evaluation_pb2.Evaluation()
    evaluation.CopyFrom(judged.evaluation)
    for clip in evaluation.clips:
        for picture in clip.pictures:
            picture.png.size_bytes = SHOT_BYTES // 8
    shown = gallery(Judged(evaluation, judged.pictures))
    assert len(shown.shots) == 2
    assert shown.left_out == 4
    assert len(gallery(Judged(evaluation)).shots) == 0


def comparison(verdict, **fields):
    found = evaluation_pb2.Comparison(metric="psnr", subject="a", baseline="b", verdict=verdict, **fields)
    found.improvement.frames = 5
    found.improvement.mean, found.improvement.low, found.improvement.high = -0.05, -0.08, 0.02
    return found


def test_verdicts_in_words():
    assert verdict_text(comparison(BETTER)) == "better"
    assert verdict_text(comparison(WORSE)) == "worse"
    assert verdict_text(comparison(UNDECIDED)) == "undecided"
    assert verdict_text(comparison(SAME, margin=0.1)) == "same within 0.1 dB"
    assert comparison_text(comparison(SAME, margin=0.1)) == (
        "psnr: a −0.05 dB (−0.08 … +0.02) against b: same within 0.1 dB"
    )


@pytest.mark.parametrize(
    ("word", "words"),
    [
        (SAME, "model is as good as prototype: "),
        (WORSE, "model is worse than prototype: "),
        (UNDECIDED, "These clips can’t tell model from prototype: "),
    ],
)
def test_the_headline_follows_the_verdict(judged, word, words):
    evaluation = evaluation_pb2.Evaluation()
    evaluation.CopyFrom(judged.evaluation)
    evaluation.comparisons[0].verdict = word
    assert verdict(Judged(evaluation)).startswith(words)


def test_figures_for_people():
    assert [fps_text(value) for value in (74.9, 9.99, 0.34)] == ["74", "9.9", "0.3"]
    assert [bytes_text(count) for count in (0, 999, 52_800, 212_000_000)] == [
        "–",
        "999 B",
        "52.8 kB",
        "212 MB",
    ]


def test_reports_need_no_pixel_library():
    code = (
        "import autoisp_cli.report.evaluation, sys; assert not {'torch', 'cv2', 'numpy'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
