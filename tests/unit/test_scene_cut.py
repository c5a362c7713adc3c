"""Scene cuts on raw frames: real ones are found; motion, noise, light and darkness are none."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from autoisp_cli.commands.demo import footage_folder
from autoisp_core.sensor import Noise, SensorProfile, builtin
from autoisp_core.spec import Spec
from autoisp_isp.evaluation import evaluate
from autoisp_isp.export import export_onnx
from autoisp_isp.network import build
from autoisp_isp.prototype import OnnxPrototype
from autoisp_isp.runtime_session import OnnxNetwork, OnnxStream, load_session
from autoisp_isp.scene_cut import CUT, SceneCuts, change, thumbnail
from autoisp_isp.synthesis import RawClip, add_noise
from autoisp_testing.scenes import moving_scene

Frames = npt.NDArray[np.uint8]
Raw = npt.NDArray[np.float32]

_PHONE: SensorProfile = builtin("phone").with_identity_ccm()
_NOISE = Noise(0.01, 0.0005)
_BIKES_CUTS = [30, 76, 137, 187, 242]
_GAINS, _CCM, _VARIANCES = (
    np.array(_PHONE.gains, np.float32),
    np.eye(3, dtype=np.float32),
    np.array([0.01, 0.0005], np.float32),
)


@pytest.fixture(scope="module")
def bikes() -> Frames:
    """A film of 250 frames with five cuts, 272 × 640."""
    return _decoded("bikes.mp4")


def _decoded(name: str) -> Frames:
    video, frames = cv2.VideoCapture(str(footage_folder() / name)), []
    while (read := video.read())[0]:
        frames.append(read[1][..., ::-1])
    return np.stack(frames)


def raws(frames: Frames, noise: Noise = _NOISE, *, light: npt.ArrayLike = 1.0) -> list[Raw]:
    """Noisy raw (4, h, w) of frames, each with its own share of the light."""
    clip, shares = RawClip(frames, _PHONE, "scenes", 1), np.broadcast_to(light, len(frames))
    generator = torch.Generator().manual_seed(5)
    clean = (clip.noisy(index, Noise(0.0, 0.0)) * float(share) for index, share in enumerate(shares))
    return [add_noise(frame, noise, generator).numpy() for frame in clean]


def found(frames: Frames, noise: Noise = _NOISE, *, light: npt.ArrayLike = 1.0) -> list[int]:
    """Indices of the frames that begin a scene."""
    cuts, variances = SceneCuts(), np.array([noise.shot, noise.read], np.float32)
    return [
        index for index, raw in enumerate(raws(frames, noise, light=light)) if cuts.begins(raw, variances)
    ]


@pytest.mark.parametrize(
    ("noise", "light"),
    [(_NOISE, 1.0), (Noise(0.03, 0.003), 1.0), (_NOISE, 0.125)],
    ids=["usual", "loud", "dark"],
)
def test_the_cuts_of_a_film_are_found_and_nothing_else(bikes: Frames, noise: Noise, light: float) -> None:
    for cut in _BIKES_CUTS:
        assert found(bikes[cut - 6 : cut + 6], noise, light=light) == [6], cut


def test_spliced_clips_are_cut_where_they_meet(bikes: Frames) -> None:
    carphone = _decoded("carphone_pristine.mp4")[:8]
    street = bikes[:8, :144, 200:376]
    assert found(np.concatenate([carphone, street, carphone[::-1]])) == [8, 16]


def test_exposure_flicker_is_no_cut(bikes: Frames) -> None:
    light = 2.0 ** np.random.default_rng(2).uniform(-0.5, 0.5, 25)
    assert found(bikes[:25], light=light) == []


@pytest.mark.parametrize("speed", [(0.0, 12.0), (8.0, 12.0)], ids=["pan", "diagonal"])
def test_a_fast_pan_is_no_cut(speed: tuple[float, float]) -> None:
    # An eighth of the picture in a frame: the whole of it is another one every eight frames.
    assert found(moving_scene(16, 64, 96, speed=speed)) == []


def test_noise_alone_and_black_frames_are_no_cut() -> None:
    assert found(np.zeros((12, 64, 96, 3), np.uint8)) == []
    assert found(np.full((12, 64, 96, 3), 90, np.uint8), Noise(0.05, 0.01)) == []


def test_the_light_going_out_is_one(bikes: Frames) -> None:
    lights_out = np.concatenate([bikes[:3], np.zeros_like(bikes[:3])])
    assert found(lights_out) == [3]


def test_any_size_of_frame_can_be_watched() -> None:
    for height, width in ((2, 2), (3, 70), (35, 1), (33, 65)):
        cuts, frame = SceneCuts(), np.full((4, height, width), 0.25, np.float32)
        assert [cuts.begins(frame, _VARIANCES) for _ in range(2)] == [False, False]


def test_structure_that_is_not_asked_for_only_makes_the_change_larger(
    bikes: Frames,
) -> None:
    one, other = (thumbnail(raw, _NOISE.read) for raw in raws(bikes[[0, 200]]))
    assert change(one, one) == 0.0
    assert change(one, other) > CUT
    assert change(one, other, enough=10.0) >= change(one, other)


def network_of(frames: int, recurrent: int = 1) -> OnnxNetwork:
    torch.manual_seed(1)
    block = Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0))
    return load_session(export_onnx(build(Spec(block, 8, frames=frames, recurrent=recurrent))))


def two_scenes() -> list[Raw]:
    """Six frames of one scene, then six of another."""
    other = moving_scene(6, 48, 64, seed=9) // np.array([3, 1, 2], np.uint8)
    return raws(np.concatenate([moving_scene(6, 48, 64, seed=1), other]))


def pictures(stream: OnnxStream, frames: list[Raw], window: int) -> list[Raw]:
    """What a stream makes of frames, each with the frames before it."""
    padded = [frames[0]] * (window - 1) + frames
    return [
        stream.run(np.stack(padded[end - window : end]), _GAINS, _CCM, _VARIANCES)
        for end in range(window, len(padded) + 1)
    ]


@pytest.mark.parametrize("window", [1, 3])
def test_a_stream_develops_a_new_scene_as_if_nothing_had_been_before(window: int) -> None:
    network, noisy = network_of(window), two_scenes()
    joined = pictures(network.start(), noisy, window)
    alone = pictures(network.start(), noisy[6:], window)
    remembering = pictures(network.start(resets=False), noisy, window)
    assert all(np.array_equal(one, other) for one, other in zip(joined[6:], alone, strict=True))
    assert all(np.array_equal(one, other) for one, other in zip(joined[:6], remembering[:6], strict=True))
    assert np.abs(joined[6] - remembering[6]).max() > 0.01


def test_a_cut_within_the_first_window_is_seen() -> None:
    network, noisy = network_of(3), two_scenes()
    first = network.start().run(np.stack(noisy[5:8]), _GAINS, _CCM, _VARIANCES)
    repeated = np.stack([noisy[6], noisy[6], noisy[7]])
    assert np.array_equal(first, network.start().run(repeated, _GAINS, _CCM, _VARIANCES))


def test_skipped_frames_are_watched_too() -> None:
    network, noisy = network_of(1), two_scenes()
    stream, alone = network.start(), network.start()
    for raw in noisy[:7]:
        stream.skip(raw[None], _GAINS, _CCM, _VARIANCES)
    alone.skip(noisy[6][None], _GAINS, _CCM, _VARIANCES)
    developed = [each.run(noisy[7][None], _GAINS, _CCM, _VARIANCES) for each in (stream, alone)]
    assert np.array_equal(*developed)


def test_a_graph_without_state_gets_its_window_as_it_is() -> None:
    network, noisy = network_of(3, recurrent=0), two_scenes()
    given = np.stack(noisy[5:8])
    inputs = {"raw": given, "gains": _GAINS, "ccm": _CCM, "noise": _VARIANCES}
    direct = network.run_inputs({name: value[None] for name, value in inputs.items()})[0]
    assert np.array_equal(network.start().run(given, _GAINS, _CCM, _VARIANCES), direct.clip(0.0, 1.0))


def test_judged_frames_after_a_cut_do_not_see_the_scene_before() -> None:
    developer = OnnxPrototype(network_of(1), 0.0)
    after = moving_scene(6, 48, 64, seed=9) // np.array([3, 1, 2], np.uint8)
    joined = np.concatenate([moving_scene(6, 48, 64, seed=1), after])
    with_past = [frame.psnr for frame in evaluate(developer, joined, _PHONE, _NOISE, 1, [6, 8], "d")]
    without = [
        frame.psnr
        for index, past in ((6, 0), (8, 2))
        for frame in evaluate(developer, joined, _PHONE, _NOISE, 1, [index], "d", warm_up=past)
    ]
    assert with_past == without
