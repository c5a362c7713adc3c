"""``autoisp evaluations``, with a stand-in for the services."""

import io
import json
import math
from contextlib import contextmanager

import pytest
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp_cli.__main__ import main
from autoisp_cli.commands import common, evaluations_run
from autoisp_cli.evaluate.live import LiveView
from autoisp_cli.evaluate.progress import EvaluationProgress
from autoisp_cli.evaluate.views import JsonView, LineView
from autoisp_client.subjects import subject_of
from autoisp_core.errors import InvalidArgumentError, NotFoundError
from judged_evaluation import make_judged
from rich.console import Console

RUNNING, SUCCEEDED, FAILED, CANCELLED = (
    evaluation_pb2.EvaluationState.Value(f"EVALUATION_STATE_{state}")
    for state in ("RUNNING", "SUCCEEDED", "FAILED", "CANCELLED")
)


class Services:
    """A client of services that judge in three messages: nothing yet, some frames, the end."""

    def __init__(self, judged):
        self.ended = judged.evaluation
        self.pictures = judged.pictures
        self.known, self.created, self.cancelled = {}, [], []

    def evaluation_subject(self, label, source):
        return subject_of(label, source.replace("champion", "3"))

    def create_evaluation(self, dataset, subjects, *, evaluation_id, **wanted):
        self.created.append((dataset, subjects, wanted))
        evaluation = evaluation_pb2.Evaluation()
        evaluation.CopyFrom(self.ended)
        evaluation.name, evaluation.state = f"evaluations/{evaluation_id}", RUNNING
        for clip in evaluation.clips:
            clip.Clear()
        for number, clip in enumerate(evaluation.clips):
            clip.clip, clip.state = f"clips/c{number}", RUNNING
        self.known[evaluation.name] = evaluation
        return evaluation

    def get_evaluation(self, name):
        if name not in self.known:
            raise NotFoundError(name)
        return self.known[name]

    def watch_evaluation(self, name, *, frames):
        assert frames
        yield self.known[name]
        news = evaluation_pb2.Evaluation(name=name, state=RUNNING)
        part = news.clips.add(clip="clips/c0", state=RUNNING, frames_done=3, frames_wanted=12)
        for result in self.ended.clips[0].subjects:
            told = part.subjects.add(label=result.label, frames=result.frames[:1])
            told.metrics.add(metric="psnr", values=result.metrics[0].values[:1])
        yield news
        end = evaluation_pb2.Evaluation()
        end.CopyFrom(self.ended)
        end.name = name
        self.known[name] = end
        yield end

    def cancel_evaluation(self, name):
        self.cancelled.append(name)
        return evaluation_pb2.Evaluation(name=name, state=CANCELLED)

    def list_evaluations(self, *, search):
        return iter([self.ended])

    def compare_subjects(self, *words, **options):
        self.compared = (words, options)
        return list(self.ended.comparisons)

    def check_gate(self, name, gate):
        if "psnr" not in gate:
            raise InvalidArgumentError("gate", "check 1 of the gate has no metric; name one")
        return self.ended.gate_report

    def download(self, path, *, sha256):
        if sha256 not in self.pictures:
            raise NotFoundError(sha256)
        path.write_bytes(self.pictures[sha256])


@pytest.fixture
def judged():
    return make_judged(clips=("carphone", "[red]bikes"), metrics=("psnr", "ssim"), frames=6)


@pytest.fixture
def services(monkeypatch, judged):
    services = Services(judged)

    @contextmanager
    def services_for(server, state, **options):
        yield common.Services(services, lambda: None, ours=True)

    monkeypatch.setattr(evaluations_run, "services_for", services_for)
    monkeypatch.setattr(common, "services_for", services_for)
    return services


@pytest.fixture
def gate(tmp_path):
    path = tmp_path / "gate.toml"
    path.write_text('[[check]]\nmetric = "psnr"\nat_least = 30.0\n')
    return path


def run(tmp_path, *words):
    sources = ("--subject", "prototype=builtin:classical", "model=models/night/versions/champion")
    return main(["evaluations", "run", "--dataset", "d", *sources, "--out", str(tmp_path / "out"), *words])


def test_run_judges_shows_and_reports(capsys, tmp_path, services, gate):
    words = ("--metrics", "ssim, psnr", "--gate", str(gate), "--frames", "4", "--noise", "0.01,0.0005")
    assert run(tmp_path, *words) == 0
    dataset, subjects, wanted = services.created[0]
    assert dataset == "datasets/d"
    assert subjects["prototype"].prototype.builtin == "classical"
    assert subjects["model"].model_version == "models/night/versions/3"
    assert wanted["metrics"] == ["psnr", "ssim"]
    assert "at_least = 30.0" in wanted["gate"]
    assert (wanted["split"], wanted["frames_per_clip"], wanted["seed"]) == ("test", 4, 0)
    assert wanted["sensor"].test_noise.shot == 0.01
    out = capsys.readouterr().out
    for text in (
        "2 clips of datasets/data-0123456789ab",
        "carphone: prototype 28.",
        "model is better than prototype",
        "gate: ✓ psnr at least",
        "[red]bikes",
        "index.html",
    ):
        assert text in out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("index.html", "evaluation.json", "frames.csv")
    }


def test_the_same_command_finds_its_evaluation_again(capsys, tmp_path, services):
    assert run(tmp_path) == 0
    assert run(tmp_path) == 0
    assert len(services.created) == 1
    assert "again at evaluations/eval-" in capsys.readouterr().out
    assert run(tmp_path, "--seed", "1") == 0
    assert run(tmp_path, "--again") == 0
    assert len(services.created) == 3
    names = list(services.known)
    assert names[2] == f"{names[0]}-2"


@pytest.mark.parametrize("state", [FAILED, CANCELLED])
def test_what_came_to_nothing_is_begun_again(tmp_path, services, state):
    run(tmp_path)
    next(iter(services.known.values())).state = state
    assert run(tmp_path) == 0
    assert len(services.created) == 2


def test_json_is_one_event_a_line_and_the_figures_last(capsys, tmp_path, services):
    assert run(tmp_path, "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines[:-1]] == ["begun", "clip", "clip", "progress"]
    assert lines[-2]["fraction"] == 1
    assert set(lines[-2]["psnr_db"]) == {"prototype", "model"}
    assert (lines[-1]["passed"], lines[-1]["state"]) == (True, "succeeded")
    assert "values" not in json.dumps(lines[-1])


def test_a_failed_gate_or_clip_is_exit_code_1(tmp_path, services):
    services.ended.gate_report.passed = False
    assert run(tmp_path) == 1
    services.ended.gate_report.passed = True
    services.ended.clips[1].state = FAILED
    assert run(tmp_path, "--seed", "1") == 1


def test_ctrl_c_says_how_to_go_on_and_how_to_end_it(capsys, tmp_path, services, monkeypatch):
    def interrupted(name, *, frames):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluations_run.job, "follow", lambda stream, check: interrupted("", frames=True))
    assert run(tmp_path) == 130
    told = capsys.readouterr().err
    assert "run the same command again" in told
    assert "autoisp evaluations cancel evaluations/eval-" in told


def test_watch_cancel_and_report(capsys, tmp_path, services):
    run(tmp_path)
    name = next(iter(services.known))
    capsys.readouterr()
    assert main(["evaluations", "watch", name.removeprefix("evaluations/")]) == 0
    assert "report:" not in capsys.readouterr().out
    assert main(["evaluations", "cancel", name]) == 0
    assert services.cancelled == [name]
    assert "cancelled" in capsys.readouterr().out
    services.pictures = {}
    assert main(["evaluations", "report", name, "--out", str(tmp_path / "other")]) == 0
    told = capsys.readouterr()
    assert "no picture noisy of frame 0" in told.err
    assert "index.html" in told.out
    assert (tmp_path / "other" / "evaluation.json").is_file()


def test_show_and_list_have_intervals_verdicts_and_gate(capsys, services):
    services.known["evaluations/e"] = services.ended
    assert main(["evaluations", "show", "e"]) == 0
    out = capsys.readouterr().out
    for text in (
        "prototype is",
        "builtin:classical",
        "psnr ↑",
        " … ",
        "psnr: model +",
        "✓ psnr at least 0.1 better",
        "fits 4K30 at phone-npu-10: 74 fps, bound by traffic",
        "[red]bikes",
    ):
        assert text in out
    assert main(["evaluations", "show", "e", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["gate_report"]["passed"]
    assert main(["evaluations", "list"]) == 0
    listed = capsys.readouterr().out
    assert "psnr, ssim" in listed
    assert "passed" in listed


def test_compare_tells_each_metric(capsys, services):
    words = ["evaluations", "compare", "e", "--subject", "model", "--baseline", "prototype"]
    more = ["--baseline-evaluation", "f", "--margin", "psnr=0.1", "ssim=0.001", "--scope", "other-clips"]
    assert main(words + more) == 0
    assert services.compared == (
        ("evaluations/e", "model", "prototype"),
        {
            "baseline_evaluation": "evaluations/f",
            "margins": {"psnr": 0.1, "ssim": 0.001},
            "scope": evaluation_pb2.Comparison.SCOPE_OTHER_CLIPS,
        },
    )
    out = capsys.readouterr().out
    assert "IMPROVEMENT" in out
    assert "better" in out
    assert main([*words, "--json"]) == 0
    assert [item["metric"] for item in json.loads(capsys.readouterr().out)] == ["psnr", "ssim"]


def test_check_tells_what_the_gate_said(capsys, services, gate):
    assert main(["evaluations", "check", "e", "--gate", str(gate)]) == 0
    assert "✓ psnr at least" in capsys.readouterr().out
    services.ended.gate_report.passed = False
    assert main(["evaluations", "check", "e", "--gate", str(gate)]) == 1
    gate.write_text("[[check]]\n")
    assert main(["evaluations", "check", "e", "--gate", str(gate)]) == 2
    assert "--gate: check 1 of the gate has no metric" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "option", "fix"),
    [
        ([], "--subject", "say what to judge"),
        (["--subject", "classical"], "--subject", "LABEL=SOURCE"),
        (["--subject", "=builtin:classical"], "--subject", "LABEL=SOURCE"),
        (["--subject", "a=classical"], "--subject", "onnx:FILE"),
        (["--subject", "a=onnx:none.onnx"], "--subject", "check the path"),
        (["--subject", "a=builtin:x", "a=builtin:y"], "--subject", "rename"),
        (["--subject", "a=builtin:x", "--split", "all"], "--split", "train, validation, test"),
        (["--subject", "a=builtin:x", "--metrics", "psnr,beauty"], "--metrics", "ms_ssim"),
        (["--subject", "a=builtin:x", "--metrics", ""], "--metrics", "psnr"),
        (["--subject", "a=builtin:x", "--gate", "none.toml"], "--gate", "no such file"),
        (["--subject", "a=builtin:x", "--sensor", "none.toml"], "--sensor", "builtin:phone"),
        (["--subject", "a=builtin:x", "--noise", "5"], "--noise", "SHOT,READ"),
        (["--subject", "a=builtin:x", "--frames", "-1"], "--frames", "0"),
        (["--subject", "a=builtin:x", "--state", "none"], "--state", "autoisp up"),
    ],
)
def test_wrong_options_are_named_with_what_to_write(capsys, words, option, fix):
    assert main(["evaluations", "run", "--dataset", "d", *words]) == 2
    told = capsys.readouterr().err
    assert option in told
    assert fix in told


@pytest.mark.parametrize("margin", ["psnr", "psnr=x", "psnr=-1", "psnr=nan", "beauty=1"])
def test_wrong_margins(capsys, services, margin):
    words = ["evaluations", "compare", "e", "--subject", "a", "--baseline", "b", "--margin", margin]
    assert main(words) == 2
    assert "--margin" in capsys.readouterr().err


def test_an_empty_gate_is_none(capsys, services, tmp_path):
    (tmp_path / "gate.toml").write_text("\n")
    assert run(tmp_path, "--gate", str(tmp_path / "gate.toml")) == 2
    assert "--gate" in capsys.readouterr().err


def test_news_may_come_twice_and_in_pieces():
    now = [0.0]
    evaluation = evaluation_pb2.Evaluation(name="evaluations/e")
    for label in ("a", "b"):
        evaluation.subjects.add(label=label)
    for name in ("clips/c0", "clips/c1"):
        evaluation.clips.add(clip=name, state=RUNNING)
    progress = EvaluationProgress(evaluation, clock=lambda: now[0])
    assert progress.seconds_left() is None
    news = evaluation_pb2.Evaluation()
    part = news.clips.add(clip="clips/c0", state=RUNNING, frames_done=2, frames_wanted=8)
    for label, psnr in (("a", 20.0), ("b", 30.0)):
        result = part.subjects.add(label=label)
        result.frames.add(frame=0)
        result.metrics.add(metric="psnr", values=[psnr])
    now[0] = 2.0
    assert progress.apply(news) == progress.apply(news) == []
    assert progress.frames == 2
    assert progress.fraction == pytest.approx(0.125)
    assert progress.frames_per_second == pytest.approx(1.0)
    assert progress.seconds_left() == pytest.approx(14.0)
    assert dict(progress.psnr()) == {"a": 20.0, "b": 30.0}
    part.subjects[0].frames[0].frame, part.subjects[0].metrics[0].values[0] = 1, math.nan
    progress.apply(news)
    assert dict(progress.psnr()) == {"a": 20.0, "b": 30.0}
    part.state = SUCCEEDED
    assert [clip.title for clip in progress.apply(news)] == ["clips/c0"]
    assert progress.apply(news) == []
    assert progress.ended == 1


def play(view, judged, folder):
    """A whole evaluation, told to a view."""
    evaluation = judged.evaluation
    begun = evaluation_pb2.Evaluation(name=evaluation.name, subjects=evaluation.subjects)
    for clip in evaluation.clips:
        begun.clips.add(clip=clip.clip, display_name=clip.display_name, state=RUNNING)
    progress = EvaluationProgress(begun)
    with view:
        view.begun(begun, resumed=True)
        view.progress(progress, ())
        news = evaluation_pb2.Evaluation()
        news.clips.add(clip="clips/c0", state=RUNNING, frames_done=3, frames_wanted=12)
        view.progress(progress, progress.apply(news))
        view.note("worker-1 was killed by signal 9; it is started again")
        view.progress(progress, progress.apply(evaluation))
        view.result(judged, folder)


def test_the_live_view_has_a_bar_for_each_clip(judged, tmp_path):
    screen = io.StringIO()
    play(LiveView(Console(file=screen, force_terminal=True, width=140, color_system=None)), judged, tmp_path)
    text = screen.getvalue()
    for words in (
        *("carphone", "[red]bikes", "100%", "2 of 2 clips", "begun before", "signal 9"),
        *("model is better than prototype", "prototype 28.", "index.html"),
    ):
        assert words in text


def test_the_live_view_of_many_clips_shows_those_that_move(tmp_path):
    judged = make_judged(clips=[f"clip{n}" for n in range(20)], metrics=("psnr",), frames=2, pictures=False)
    view = LiveView(Console(file=io.StringIO(), width=140))
    progress = EvaluationProgress(judged.evaluation)
    view.progress(progress, ())
    console = Console(file=io.StringIO(), width=140)
    console.print(view.render())
    assert "clip3" not in console.file.getvalue()
    assert "20 of 20 clips" in console.file.getvalue()


def test_lines_and_json_say_the_same(capsys, judged, tmp_path):
    judged.evaluation.clips[1].state = FAILED
    judged.evaluation.clips[1].failure.message = "the model hung"
    lines = []
    play(LineView(lines.append), judged, tmp_path)
    assert any("[red]bikes: failed, the model hung" in line for line in lines)
    assert lines[-1].endswith("index.html")
    play(JsonView(), judged, tmp_path)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    clips = [line for line in told if line.get("event") == "clip"]
    assert [clip["failure"] for clip in clips] == [None, "the model hung"]
    assert told[-1]["report"] == str(tmp_path)
    assert not told[-1]["passed"]
