"""The raw that an evaluation shows to all of its subjects."""

import numpy as np
import pytest
from autoisp_core.sensor import Noise, builtin
from autoisp_isp.evaluation import WARM_UP
from autoisp_isp.prefetch import Prefetcher
from autoisp_isp.reel import Reel
from autoisp_isp.synthesis import RawClip
from autoisp_testing.scenes import moving_scene

_PHONE = builtin("phone")
_QUIET = _PHONE.with_test_noise(Noise(0.01, 0.0005))


class Developer:
    def __init__(self, frames: int, recurrent: bool = False) -> None:
        self.frames = frames
        self.recurrent = recurrent

    def start(self) -> object:
        raise NotImplementedError


def reel(length: int, indices: list[int], *developers: Developer, sensor: object = _QUIET) -> Reel:
    return Reel(moving_scene(length, 16, 24), sensor, 5, "digest", indices, developers)  # type: ignore[arg-type]


def test_windows_are_those_of_the_clip() -> None:
    clip = RawClip(moving_scene(6, 16, 24), _QUIET, "digest", 5)
    (noise,) = _QUIET.evaluation_noises()

    with Prefetcher(reel(6, list(range(6)), Developer(3), Developer(1)), 0, 2) as shots:
        for index in range(6):
            shot, sample = shots(index), clip.sample(index, 3, noise)
            assert (shot.index, shot.fresh, shot.earlier) == (index, index == 0, 0)
            assert np.array_equal(shot.window(3), sample.raw)
            assert np.array_equal(shot.window(1), sample.raw[-1:])
            assert np.array_equal(shot.truth, sample.truth)
            assert np.array_equal(shot.noise, sample.noise)


def test_spread_frames_begin_anew_and_bring_a_past_for_who_carries_something() -> None:
    clip = RawClip(moving_scene(20, 16, 24), _QUIET, "digest", 5)
    (noise,) = _QUIET.evaluation_noises()

    shots = reel(20, [0, 5, 19], Developer(2, recurrent=True), Developer(3))

    for position, (index, earlier) in enumerate([(0, 0), (5, 5), (19, WARM_UP)]):
        shot = shots(position)
        assert (shot.index, shot.fresh, shot.earlier) == (index, True, earlier)
        for back in range(earlier + 1):
            assert np.array_equal(shot.window(2, back), clip.sample(index - back, 2, noise).raw)


def test_strengths_of_noise_follow_one_another_in_a_whole_clip_and_take_turns_in_spread_frames() -> None:
    noises = [np.array([noise.shot, noise.read], np.float32) for noise in _PHONE.evaluation_noises()]
    whole = reel(7, list(range(7)), Developer(1), sensor=_PHONE)
    spread = reel(9, [0, 2, 4, 6], Developer(1), sensor=_PHONE)

    told = [whole(index).noise for index in range(7)]

    assert all(np.array_equal(a, noises[b]) for a, b in zip(told, [0, 0, 0, 1, 1, 2, 2], strict=True))
    turns = [spread(position).noise for position in range(4)]
    assert all(np.array_equal(a, noises[b]) for a, b in zip(turns, [0, 1, 2, 0], strict=True))


def test_there_is_an_end() -> None:
    with pytest.raises(IndexError):
        reel(4, [0, 3], Developer(1))(2)
