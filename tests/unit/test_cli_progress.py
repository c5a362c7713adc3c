"""What is told of a search while it runs, and by whom."""

import io
import json
import time

import pytest
from autoisp.common.v1 import common_pb2
from autoisp.search.v1 import search_pb2
from autoisp_cli.choice import Choice
from autoisp_cli.report.result import result
from autoisp_cli.tune import identity
from autoisp_cli.tune.faults import in_options, search_failure
from autoisp_cli.tune.follow import await_result, follow
from autoisp_cli.tune.plan_words import effort_text
from autoisp_cli.tune.progress import RungProgress, SearchProgress
from autoisp_cli.views.json_lines import JsonView
from autoisp_cli.views.lines import LineView
from autoisp_cli.views.live import LiveView, sparkline
from autoisp_cli.views.words import figures_text, front_text, rungs_text
from autoisp_client import UploadProgress
from autoisp_core.errors import DeadlineExceededError, InternalError, InvalidArgumentError, NotFoundError
from report_outcome import make_outcome
from rich.console import Console


def running_search(outcome):
    search = search_pb2.Search()
    search.CopyFrom(outcome.search)
    search.state, search.max_parallel_trials = search_pb2.SEARCH_STATE_RUNNING, 2
    return search


def play(view, folder):
    """A whole job, told to a view."""
    outcome = make_outcome()
    progress = SearchProgress(running_search(outcome))
    with view:
        view.stage("start", "2 workers")
        view.stage("upload", "bikes")
        view.upload("bikes", UploadProgress(1_000_000, 4_000_000, 2.5e6, 0))
        view.plan(outcome.settings)
        view.stage("profile")
        view.stage("search")
        view.profiled(progress.search)
        for trial in outcome.trials:
            view.search(progress, progress.apply(search_pb2.SearchUpdate(trial=trial)))
        view.note("worker-1 was killed by signal 9; it is started again")
        view.stage("evaluate")
        view.evaluation(outcome.evaluation)
        view.stage("report")
        view.result(result(outcome), folder)


def test_the_live_view_draws_every_stage(tmp_path):
    screen = io.StringIO()
    view = LiveView(Console(file=screen, force_terminal=True, width=120, color_system=None))
    play(view, tmp_path)
    text = screen.getvalue()
    for words in (
        "the default",
        "--strategy",
        "Search and train",
        "Judge on unseen clips",
        "Found a network",
        "index.html",
    ):
        assert words in text


def test_the_live_view_takes_brackets_for_what_they_are():
    console = Console(file=io.StringIO(), width=120)
    LiveView(console).plan([Choice("Report", "out[red][/b]", "as [/asked]", "--out")])
    assert "out[red][/b]  as [/asked]  --out" in console.file.getvalue()


def test_the_live_view_shows_the_best_trials():
    screen = io.StringIO()
    console = Console(file=screen, width=120)
    outcome = make_outcome()
    progress = SearchProgress(running_search(outcome))
    view = LiveView(console)
    view.stage("search")
    for trial in outcome.trials:
        view.search(progress, progress.apply(search_pb2.SearchUpdate(trial=trial)))
    console.print(view.render())
    text = screen.getvalue()
    for words in (
        *("r2-0025 ◆", "+2.00 dB", "best 30.40 dB", "16/18 · 6/6 · 2/2", "2 over budget", "16 wide"),
        "predictor for quality, macs: latency error 6.2 %, rank correlation 0.81",
        "◆ of the front: 7 networks, 26.62 dB at",
    ):
        assert words in text


def test_lines_say_what_happens(tmp_path):
    lines = []
    play(LineView(lines.append), tmp_path)
    assert any("r2-0025: 30.40 dB at 2" in line for line in lines)
    assert any("r0-0004: pruned" in line for line in lines)
    assert any("signal 9" in line for line in lines)
    assert "Strategy  predictor  (the default; --strategy)" in lines
    assert lines[-1].endswith("index.html")


def test_json_is_one_event_a_line_and_the_result_last(capsys, tmp_path):
    play(JsonView(), tmp_path)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["event"] for line in lines[:-1]} == {
        *("stage", "plan", "profiled", "trial", "progress", "note", "evaluation")
    }
    plan = next(line for line in lines if line["event"] == "plan")
    strategy = {"value": "predictor", "why": "the default", "option": "--strategy"}
    assert plan["choices"]["Strategy"] == lines[-1]["choices"]["Strategy"] == strategy
    progress = next(line for line in reversed(lines[:-1]) if line["event"] == "progress")
    assert progress["rungs"][2] == {"planned": 2, "done": 2, "running": 0}
    assert progress["strategy_figures"] == {"rank_correlation": 0.81, "latency_error_percent": 6.2}
    assert [trial["psnr_db"] for trial in progress["front"]] == [t["psnr_db"] for t in lines[-1]["front"]]
    assert "event" not in lines[-1]
    assert lines[-1]["mac_ratio"] > 100


def test_progress_counts_effort_and_not_trials():
    search = search_pb2.Search(
        state=search_pb2.SEARCH_STATE_RUNNING,
        rungs=[search_pb2.Rung(trials=4, seconds=10), search_pb2.Rung(trials=2, seconds=30)],
        max_parallel_trials=2,
    )
    progress = SearchProgress(search)
    for index in range(4):
        trial = search_pb2.Trial(name=f"t{index}", state=search_pb2.TRIAL_STATE_SUCCEEDED)
        progress.apply(search_pb2.SearchUpdate(trial=trial))
    half = search_pb2.Trial(name="u", rung=1, state=search_pb2.TRIAL_STATE_RUNNING, progress=0.5)
    assert progress.apply(search_pb2.SearchUpdate(trial=half)) is None
    assert progress.fraction == pytest.approx(0.55)
    assert progress.seconds_left() == pytest.approx((45 + 2 * 3) / 2)


def test_steps_are_extrapolated_from_this_run():
    now = [0.0]
    search = search_pb2.Search(
        state=search_pb2.SEARCH_STATE_RUNNING, rungs=[search_pb2.Rung(trials=4, steps=100)]
    )
    progress = SearchProgress(search, clock=lambda: now[0])
    done = search_pb2.TRIAL_STATE_SUCCEEDED
    progress.apply(search_pb2.SearchUpdate(trial=search_pb2.Trial(name="a", state=done)))
    assert progress.seconds_left() is None
    now[0] = 20.0
    progress.apply(search_pb2.SearchUpdate(trial=search_pb2.Trial(name="b", state=done)))
    assert progress.seconds_left() == pytest.approx(40.0)


def test_a_trial_ends_once():
    progress = SearchProgress()
    update = search_pb2.SearchUpdate(trial=search_pb2.Trial(name="t", state=search_pb2.TRIAL_STATE_PRUNED))
    assert progress.apply(update) is not None
    assert progress.apply(update) is None


def test_words_for_what_a_strategy_tells_and_for_a_front():
    assert figures_text({}) == front_text([]) == ""
    assert figures_text({"epsilon": 0.25, "latency_error_percent": 12}) == "epsilon 0.25, latency error 12 %"
    assert figures_text({"visited_actions": 12345}) == "visited actions 12,345"
    alone = search_pb2.Trial(quality=common_pb2.Quality(psnr_db=27.5))
    alone.cost.macs_per_pixel = 900
    assert front_text([alone]) == "1 network, 27.50 dB at 900 MAC/px"


def test_long_trainings_are_told_in_whole_seconds():
    texts = [effort_text(search_pb2.Rung(seconds=seconds)) for seconds in (6.25, 117.0, 2877.4)]
    assert texts == ["6.25 s", "117 s", "2,877 s"]


def test_a_sparkline_rises():
    assert sparkline([1.0, 2.0, 3.0]) == "▁▄█" or sparkline([1.0, 2.0, 3.0]) == "▁▅█"
    assert sparkline([2.0, 2.0]) == "▁▁"


def test_a_stream_is_followed_with_ticks_and_its_error():
    def stream():
        yield 1
        time.sleep(0.6)
        yield 2
        raise NotFoundError("searches/s")

    followed = follow(stream(), lambda: None)
    items = [next(followed)]
    while items[-1] != 2:
        items.append(next(followed))
    assert items[0] == 1
    assert items.count(None) in (1, 2, 3)
    with pytest.raises(NotFoundError):
        next(followed)


def test_waiting_for_a_result_has_an_end():
    with pytest.raises(DeadlineExceededError, match="the judgement did not appear"):
        await_result("the judgement", lambda: None, lambda: None, 0.3)


def test_the_same_inputs_are_the_same_search():
    search = search_pb2.Search(dataset="datasets/d", seed=3, max_parallel_trials=2)
    first = identity.search_id(search)
    search.max_parallel_trials = 8
    assert identity.search_id(search) == first
    assert identity.search_id(search, 2) == f"{first}-2"
    search.max_trials = 9
    assert identity.search_id(search) != first


def test_rungs_go_on_at_once_and_the_first_may_outgrow_its_plan():
    search = search_pb2.Search(
        state=search_pb2.SEARCH_STATE_RUNNING,
        rungs=[search_pb2.Rung(trials=2, seconds=10), search_pb2.Rung(trials=1, seconds=30)],
        max_parallel_trials=2,
        pareto_trials=["c", "a", "unknown yet"],
    )
    progress = SearchProgress(search)
    states = ("SUCCEEDED", "FAILED", "SUCCEEDED", "RUNNING", "PRUNED", "QUEUED")
    for name, state in zip("abcdef", states, strict=True):
        trial = search_pb2.Trial(name=name, state=search_pb2.TrialState.Value(f"TRIAL_STATE_{state}"))
        progress.apply(search_pb2.SearchUpdate(trial=trial))
    above = search_pb2.Trial(name="g", rung=1, state=search_pb2.TRIAL_STATE_RUNNING)
    progress.apply(search_pb2.SearchUpdate(trial=above))
    assert progress.rungs() == [RungProgress(4, 3, 1), RungProgress(1, 0, 1)]
    assert rungs_text(progress.rungs()) == "3/4 (1 running) · 0/1 (1 running)"
    assert progress.fraction == pytest.approx(30 / 70)
    assert progress.seconds_left() == pytest.approx((40 + 2 * 3) / 2)
    assert [trial.name for trial in progress.front()] == ["c", "a"]


@pytest.mark.parametrize(
    ("field", "option"),
    [
        ("search.budget.reduction", "--reduction"),
        ("search.sensor.test_noise.shot", "--noise"),
        ("search.sensor.toml", "--sensor"),
        ("search.prototype.onnx", "--prototype"),
        ("search.dataset", "--footage"),
        ("search.strategy", "--strategy"),
        ("search.objectives[1]", "--objectives"),
        ("search.max_trials", "--trials"),
        ("search.warm_start[0]", "--warm-start"),
        ("search.space.widths", "--space"),
    ],
)
def test_a_field_of_the_wire_becomes_an_option(field, option):
    with pytest.raises(InvalidArgumentError) as caught, in_options():
        raise InvalidArgumentError(field, "wrong; mend it")
    assert (caught.value.field, caught.value.message) == (option, f"{option}: wrong; mend it")


@pytest.mark.parametrize(
    ("reason", "before_trials", "kind", "words"),
    [
        ("BUDGET_UNREACHABLE", False, InvalidArgumentError, "--reduction: "),
        ("INVALID_ARGUMENT", True, InvalidArgumentError, "--prototype: "),
        ("CLIP_MISSING", True, InvalidArgumentError, "--footage: "),
        ("CLIP_UNREADABLE", True, InvalidArgumentError, "--footage: "),
        ("FOOTAGE_UNREADABLE", True, InvalidArgumentError, "--footage: "),
        ("EMPTY_SPLIT", True, InvalidArgumentError, "--footage: "),
        ("DELIVERIES_EXHAUSTED", True, InternalError, "searches/s failed"),
        ("INTERNAL", True, InternalError, "searches/s failed"),
        ("ALL_TRIALS_FAILED", False, InternalError, "searches/s failed"),
    ],
)
def test_why_a_search_failed(reason, before_trials, kind, words):
    failure = common_pb2.Failure(reason=reason, message="because")
    error = search_failure("searches/s", failure, before_trials=before_trials)
    assert type(error) is kind
    assert words in error.message


def test_an_upload_is_told_with_its_rate(capsys, monkeypatch):
    halfway = UploadProgress(2_000_000, 4_000_000, 2.5e6, 0)
    console = Console(file=io.StringIO(), width=120)
    live = LiveView(console)
    live.stage("upload", "bikes")
    live.upload("bikes", halfway)
    console.print(live.render())
    assert "bikes  50% of 4.0 MB, 2.5 MB/s" in console.file.getvalue()
    lines = []
    views = [LineView(lines.append), JsonView()]
    for view in views:
        view.upload("bikes", halfway)  # not at once: a small clip is up in no time
    assert (lines, capsys.readouterr().out) == ([], "")
    later = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: later)
    for view in views:
        view.upload("bikes", halfway)
    assert "bikes  50% of 4.0 MB, 2.5 MB/s" in lines[0]
    told = json.loads(capsys.readouterr().out)
    assert (told["event"], told["clip"], told["megabytes_per_second"]) == ("upload", "bikes", 2.5)
