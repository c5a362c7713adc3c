"""Watching frames as they come: each once, nothing repeated, nothing kept for whoever doesn't read."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

import pytest
from autoisp_core.errors import NotFoundError, UnavailableError
from autoisp_evaluation.domain import (
    Cost,
    Evaluation,
    FrameResult,
    MetricResult,
    Quality,
    State,
    SubjectResult,
)
from autoisp_evaluation.usecases import FramesJudged
from evaluation_fakes import World, draft, result

NAME = "evaluations/mine"


@pytest.fixture
async def world() -> World:
    made = World()
    await made.evaluations.create(draft(metrics=("tof",)), "mine")
    return made


def news(clip: str, frames: Iterable[int], label: str = "model", done: int = 0) -> FramesJudged:
    """Frames of one subject: frame i has 30 + i dB and a tof of i."""
    told = tuple(FrameResult(i, Quality(30.0 + i, 0.9)) for i in frames)
    tof = MetricResult("tof", values=tuple(float(frame.frame) for frame in told))
    subject = SubjectResult(label, Quality(0, 0), Cost(), told, (tof,))
    return FramesJudged(NAME, clip, (subject,), done or len(told), 20)


def frames_in(item: Evaluation) -> dict[str, list[tuple[str, int]]]:
    return {
        clip.clip: [(s.label, frame.frame) for s in clip.subjects for frame in s.frames]
        for clip in item.clips
    }


@asynccontextmanager
async def watching(world: World) -> AsyncIterator[AsyncIterator[Evaluation]]:
    """A watcher that has its snapshot."""
    watch = world.watching.watch_frames(NAME)
    await anext(watch)
    try:
        yield watch
    finally:
        await watch.aclose()  # type: ignore[attr-defined]


async def soon(watch: AsyncIterator[Evaluation]) -> Evaluation:
    async with asyncio.timeout(2):
        return await anext(watch)


async def test_frames_come_once_and_the_rest_with_the_result(world: World) -> None:
    async with watching(world) as watch:
        world.live.tell(news("clips/c1", [0, 1], done=2))
        first = await soon(watch)
        assert frames_in(first) == {"clips/c1": [("model", 0), ("model", 1)]}
        (clip,) = first.clips
        assert (clip.state, clip.display_name) == (State.RUNNING, "clip 1")
        assert (clip.frames_done, clip.frames_wanted) == (2, 20)
        (subject,) = clip.subjects
        assert subject.quality == Quality(30.5, pytest.approx(0.9))  # type: ignore[arg-type]
        assert [m.metric for m in subject.metrics] == ["psnr", "ssim", "tof"]
        assert subject.metrics[0].values == (30.0, 31.0)
        assert subject.metrics[2].values == (0.0, 1.0)
        # Told again by a worker that took over, and more.
        world.live.tell(news("clips/c1", [0, 1, 2]))
        assert frames_in(await soon(watch)) == {"clips/c1": [("model", 2)]}

        psnr = {"prototype": [20.0, 20.0, 20.0, 20.0], "model": [30.0, 31.0, 32.0, 33.0]}
        tof = {"prototype": [1.0] * 4, "model": [0.0, 1.0, 2.0, 3.0]}
        await world.evaluations.record(NAME, result("clips/c1", psnr, tof=tof))
        judged = await soon(watch)
        assert frames_in(judged) == {"clips/c1": [("prototype", i) for i in range(4)] + [("model", 3)]}
        model = judged.clips[0].subject("model")
        assert model is not None
        assert model.metrics[2].values == (3.0,)
        assert model.metrics[2].within is not None
        assert model.quality.psnr_db == 31.5

        await world.evaluations.record(NAME, result("clips/c2", psnr))
        last = await soon(watch)
        assert last == await world.evaluations.get(NAME)
        assert last.state is State.SUCCEEDED
        with pytest.raises(StopAsyncIteration):
            await soon(watch)


async def test_late_news_of_a_judged_clip_are_none(world: World) -> None:
    async with watching(world) as watch:
        await world.evaluations.record(NAME, result("clips/c1", {"prototype": [20.0], "model": [30.0]}))
        assert frames_in(await soon(watch)) == {"clips/c1": [("prototype", 0), ("model", 0)]}
        world.live.tell(news("clips/c1", [0, 1]))
        world.live.tell(news("clips/c2", [5]))
        assert frames_in(await soon(watch)) == {"clips/c2": [("model", 5)]}


async def test_a_second_watcher_starts_with_what_is_known(world: World) -> None:
    async with watching(world):
        world.live.tell(news("clips/c2", [0, 3], done=2))
        other = world.watching.watch_frames(NAME)
        snapshot = await anext(other)
        assert frames_in(snapshot) == {"clips/c1": [], "clips/c2": [("model", 0), ("model", 3)]}
        assert [clip.frames_done for clip in snapshot.clips] == [0, 2]
        world.live.tell(news("clips/c2", [4]))
        assert frames_in(await soon(other)) == {"clips/c2": [("model", 4)]}
        await other.aclose()  # type: ignore[attr-defined]


async def test_whoever_does_not_read_gets_all_at_once_and_keeps_little(world: World) -> None:
    async with watching(world) as watch:
        for start in range(0, 100, 10):
            world.live.tell(news("clips/c1", range(start, start + 10)))
            world.live.tell(news("clips/c1", range(start, start + 10)))
        assert len(frames_in(await soon(watch))["clips/c1"]) == 100
        # However much is sent, no more is kept than a message could hold.
        world.live.tell(news("clips/c1", range(50_000)))
        assert len(frames_in(await soon(watch))["clips/c1"]) == 29_900
        # Nobody has asked for this clip.
        world.live.tell(news("clips/other", [1]))
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                raise AssertionError(await anext(watch))
    assert world.live._logs == {}


async def test_a_watcher_that_is_behind_waits_for_the_result_that_another_has_read(world: World) -> None:
    before = await world.evaluations.get(NAME)
    with world.live.follow(NAME) as ahead, world.live.follow(NAME) as behind:
        for follower in (ahead, behind):
            follower.snapshot(before)
        world.live.tell(news("clips/c1", [0, 1]))
        psnr = {"prototype": [20.0, 20.0], "model": [30.0, 31.0]}
        await world.evaluations.record(NAME, result("clips/c1", psnr))
        judged = await world.evaluations.get(NAME)
        assert ahead.news(judged) is not None
        assert behind.news(before) is None
        with world.live.follow(NAME) as new:
            assert frames_in(new.snapshot(before))["clips/c1"] == []
        caught_up = behind.news(judged)
        assert caught_up is not None
        assert len(frames_in(caught_up)["clips/c1"]) == 4


async def test_without_watchers_only_the_count_is_kept(world: World) -> None:
    world.live.tell(news("clips/c1", [0, 1], done=2))
    assert world.live._logs == {}
    assert [clip.frames_done for clip in (await world.evaluations.get(NAME)).clips] == [2, 0]
    # As large as a clip can be, and of few clips.
    world.live.tell(news("clips/c1", [0], done=10**9))
    assert (await world.evaluations.get(NAME)).clips[0].frames_done == 20
    for number in range(10_050):
        world.live.tell(news(f"clips/x{number}", []))
    assert len(world.live._tallies) == 10_000


async def test_metrics_that_come_late_are_not_a_number_yet(world: World) -> None:
    async with watching(world) as watch:
        frame = FrameResult(0, Quality(30.0, 0.9))
        world.live.tell(
            FramesJudged(NAME, "clips/c1", (SubjectResult("model", Quality(0, 0), Cost(), (frame,)),), 1, 20)
        )
        (subject,) = (await soon(watch)).clips[0].subjects
        assert math.isnan(subject.metrics[2].values[0])


async def test_a_cancellation_ends_every_watch(world: World) -> None:
    async with watching(world) as watch:
        plain = world.watching.watch(NAME)
        await anext(plain)
        await world.evaluations.cancel(NAME)
        for one in (watch, plain):
            assert (await soon(one)).state is State.CANCELLED
            with pytest.raises(StopAsyncIteration):
                await soon(one)


async def test_frames_of_nothing_and_of_a_stopping_process(world: World) -> None:
    with pytest.raises(NotFoundError):
        await anext(world.watching.watch_frames("evaluations/none"))
    async with watching(world) as watch:
        world.watching.stop()
        with pytest.raises(UnavailableError):
            await soon(watch)
