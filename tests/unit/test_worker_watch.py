"""What looks after a running trial: it reports, it stops the trial, and it always ends with it."""

import asyncio
from typing import Any, cast

import pytest
from autoisp.events.v1 import events_pb2
from autoisp_runtime.jetstream import Publisher
from autoisp_worker import watch
from autoisp_worker.compute import StopReason, StopRequest
from autoisp_worker.domain import TrialProgress
from autoisp_worker.domain_evaluation import FramesJudged, FrameValues

TRIAL = "searches/s/trials/r0-0001"


class Cancelled:
    def __init__(self, *searches: str) -> None:
        self.searches = set(searches)

    async def includes(self, search_id: str) -> bool:
        return search_id in self.searches


class SlowPublisher:
    """Confirms after a while, and swallows a cancellation as asyncio.wait_for can."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.payloads: list[tuple[str, bytes]] = []

    async def publish(self, subject: str, payload: bytes, event_id: str, **options: Any) -> bool:
        self.payloads.append((subject, payload))
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            return True
        return True

    @property
    def reports(self) -> list[events_pb2.TrialReported]:
        return [events_pb2.TrialReported.FromString(payload) for _, payload in self.payloads]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_LOOK_EVERY_S", 0.01)


def watching(publisher: SlowPublisher, *cancelled: str, limit_s: float = 60.0) -> watch.TrialWatch:
    watches = watch.JobWatch(Cancelled(*cancelled), cast(Publisher, publisher), limit_s)
    return watch.TrialWatch(watches, "worker-1")


async def test_ends_with_the_trial_even_if_a_publication_swallows_its_cancellation() -> None:
    publisher, stop = SlowPublisher(0.05), StopRequest()

    async with asyncio.timeout(5), watching(publisher).over(TRIAL, stop):
        await asyncio.sleep(0.08)  # ends in the middle of a publication

    assert not stop


async def test_reports_the_newest_progress() -> None:
    publisher = SlowPublisher()

    async with watching(publisher).over(TRIAL, StopRequest()) as on_progress:
        on_progress(TrialProgress(0.25, 10, 0.2))
        on_progress(TrialProgress(0.5, 20, 0.1))
        await asyncio.sleep(0.05)

    assert publisher.reports[-1].progress == 0.5
    assert publisher.reports[-1].steps == 20
    assert publisher.reports[-1].worker == "worker-1"


async def test_stops_a_trial_of_a_cancelled_search_before_it_starts() -> None:
    stop = StopRequest()

    async with watching(SlowPublisher(), "s").over(TRIAL, stop):
        pass

    assert stop.reason is StopReason.CANCELLED


async def test_stops_a_trial_that_takes_too_long() -> None:
    stop = StopRequest()

    async with watching(SlowPublisher(), limit_s=0.02).over(TRIAL, stop):
        await asyncio.sleep(0.1)

    assert stop.reason is StopReason.TIME_LIMIT


def clips(publisher: SlowPublisher, *cancelled: str, limit_s: float = 60.0) -> watch.ClipWatch:
    return watch.ClipWatch(watch.JobWatch(Cancelled(*cancelled), cast(Publisher, publisher), limit_s))


async def test_frames_are_told_once() -> None:
    publisher = SlowPublisher()
    frame = FrameValues(7, {"psnr": 30.0, "ssim": 0.9})
    news = [FramesJudged(("psnr", "ssim"), {"model": (frame,)}, done, 4) for done in (2, 1)]

    async with clips(publisher).over("evaluations/e", "clips/c", StopRequest()) as on_frames:
        on_frames(lambda: news.pop() if news else None)
        await asyncio.sleep(0.1)

    assert [subject for subject, _ in publisher.payloads] == [
        "autoisp.v1.evt.evaluation.frames_judged.e-c"
    ] * 2
    first, second = (
        events_pb2.EvaluationFramesJudged.FromString(payload) for _, payload in publisher.payloads
    )
    assert (first.evaluation, first.clip, first.frames_done, first.frames_wanted) == (
        "evaluations/e",
        "clips/c",
        1,
        4,
    )
    assert first.subjects[0].frames[0].frame == 7
    assert second.frames_done == 2


async def test_a_clip_of_a_cancelled_evaluation_is_stopped_and_one_that_takes_too_long() -> None:
    stop, slow = StopRequest(), StopRequest()

    async with clips(SlowPublisher(), "e").over("evaluations/e", "clips/c", stop):
        pass
    async with clips(SlowPublisher(), "other", limit_s=0.02).over("evaluations/e", "clips/c", slow):
        await asyncio.sleep(0.1)

    assert stop.reason is StopReason.CANCELLED
    assert slow.reason is StopReason.TIME_LIMIT


@pytest.mark.parametrize(("running_s", "pause_s"), [(0.0, 0.0), (10.0, 0.5), (100.0, 5.0), (86_400.0, 30.0)])
def test_the_longer_a_trial_runs_the_rarer_are_its_reports(running_s: float, pause_s: float) -> None:
    assert watch.report_pause(running_s) == pytest.approx(pause_s)


async def test_a_report_that_is_not_due_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_LOOK_EVERY_S", 0.01)
    publisher = SlowPublisher()
    trials = watch.TrialWatch(watch.JobWatch(Cancelled(), cast(Publisher, publisher), 60.0), "w")
    monkeypatch.setattr(watch, "report_pause", lambda _running_s: 0.0)
    async with trials.over(TRIAL, StopRequest()):
        await asyncio.sleep(0.2)
    assert len(publisher.payloads) > 1
    publisher.payloads.clear()
    monkeypatch.setattr(watch, "report_pause", lambda _running_s: 60.0)
    async with trials.over(TRIAL, StopRequest()):
        await asyncio.sleep(0.2)
    assert len(publisher.payloads) == 1
