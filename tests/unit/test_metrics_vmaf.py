"""VMAF through an ffmpeg that has it; and what is said where there is none."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from autoisp_core.errors import FailedPreconditionError, UnknownError
from autoisp_isp.metrics import FrameMetrics
from autoisp_isp.metrics.picture import Picture
from autoisp_isp.metrics.vmaf import Vmaf, ffmpeg_with_vmaf
from autoisp_testing.scenes import moving_scene


@pytest.fixture(autouse=True)
def _looks_anew() -> Iterator[None]:
    ffmpeg_with_vmaf.cache_clear()
    yield
    ffmpeg_with_vmaf.cache_clear()


@pytest.fixture
def ffmpeg() -> str:
    try:
        return ffmpeg_with_vmaf()
    except FailedPreconditionError:
        pytest.skip("no ffmpeg with libvmaf here: pip install autoisp[vmaf]")


@pytest.fixture
def truths() -> list[Picture]:
    return list((moving_scene(4, 175, 201).transpose(0, 3, 1, 2) / 255).astype(np.float32))


def noisy(truths: list[Picture], deviation: float) -> list[Picture]:
    source = np.random.default_rng(0)
    return [(truth + source.normal(0, deviation, truth.shape)).astype(np.float32) for truth in truths]


def scores(pictures: list[Picture], truths: list[Picture]) -> dict[int, float]:
    with FrameMetrics(["psnr", "vmaf"]) as metrics:
        for picture, truth in zip(pictures, truths, strict=True):
            assert list(metrics.measure(picture, truth)) == ["psnr"]
        return metrics.finish()["vmaf"]


@pytest.mark.usefixtures("ffmpeg")
def test_less_noise_scores_higher_on_every_frame(truths: list[Picture]) -> None:
    equal, little, much = (scores(noisy(truths, deviation), truths) for deviation in (0.0, 0.02, 0.1))
    assert list(equal) == [0, 1, 2, 3]
    assert all(value > 95 for value in equal.values())
    assert all(equal[index] > little[index] > much[index] for index in equal)


@pytest.mark.usefixtures("ffmpeg")
def test_scores_belong_to_the_frames_that_had_a_truth(truths: list[Picture]) -> None:
    with FrameMetrics(["blur", "vmaf"]) as metrics:
        for index, truth in enumerate(truths):
            metrics.measure(truth, None if index == 1 else truth)
        assert list(metrics.finish()["vmaf"]) == [0, 2, 3]
        metrics.measure(truths[0])
        assert metrics.finish() == {"vmaf": {}}


@pytest.mark.usefixtures("ffmpeg")
def test_an_abandoned_clip_leaves_nothing_behind(truths: list[Picture]) -> None:
    judge = Vmaf(175, 201)
    folder, process = judge._folder, judge._process
    judge.add(truths[0], truths[0])
    judge.close()
    assert process.returncode is not None
    assert not folder.exists()


def put_ffmpeg(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_an_ffmpeg_that_fails_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, truths: list[Picture]
) -> None:
    script = 'case "$*" in *-filters*) echo " .. libvmaf  VV->V";; *) echo "out of cheese" >&2; exit 3;; esac'
    put_ffmpeg(tmp_path, script, monkeypatch)
    with pytest.raises(UnknownError, match=r"exit 3.*out of cheese") as error:
        scores(truths, truths)
    assert error.value.reason == "FFMPEG_FAILED"


def test_without_an_ffmpeg_that_has_it_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_ffmpeg(tmp_path, 'echo " .. scale  V->V"', monkeypatch)
    monkeypatch.setattr("autoisp_isp.metrics.vmaf.find_spec", lambda name: None)
    with pytest.raises(FailedPreconditionError, match=r"autoisp\[vmaf\]") as error:
        FrameMetrics(["vmaf"])
    assert error.value.reason == "NO_VMAF"
