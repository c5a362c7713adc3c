"""The headline's script: its stack is the known one, its films are cut from stills, its figures add up."""

import argparse
import json
import random
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
from autoisp_cli.tune.space_file import read_space
from autoisp_core.spec import SearchSpace, cost
from autoisp_testing.scenes import moving_scene

_BENCH = Path(__file__).parents[1] / "bench"


@pytest.fixture
def headline(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(_BENCH))
    import headline

    return headline


@pytest.fixture
def stills(tmp_path: Path) -> Path:
    """Three pictures of different sizes, and a text."""
    folder = tmp_path / "stills"
    folder.mkdir()
    for index, (height, width) in enumerate([(80, 120), (160, 100), (90, 90)]):
        cv2.imwrite(str(folder / f"{index}.png"), moving_scene(1, height, width, seed=index)[0])
    (folder / "README.txt").write_text("three pictures")
    return folder


def test_the_stack_is_the_only_network_of_its_search(headline: ModuleType, tmp_path: Path) -> None:
    words = headline._stack(argparse.Namespace(out=tmp_path, minutes="0.5"))
    path = Path(words[words.index("--space") + 1])
    assert read_space(path).widths == [20]
    space = SearchSpace.from_json(path.read_text())
    assert {space.sample(random.Random(seed)) for seed in range(30)} == {headline.STACK}
    assert cost(headline.STACK).macs_per_pixel <= float(words[words.index("--budget-macs") + 1]) < 3400
    assert words[words.index("--rung") + 1] == "1x30s"


def test_films_pan_over_stills_pixel_by_pixel_and_are_made_once(
    headline: ModuleType, stills: Path, tmp_path: Path
) -> None:
    import pans

    films = pans.make_films(stills, tmp_path / "out")
    assert [film.name for film in films] == ["pans-1", "pans-2"]
    counts = [len(list(film.glob("*.png"))) for film in films]
    assert counts == [2 * pans.FRAMES, pans.FRAMES]
    frames = [cv2.imread(str(path)) for path in sorted(films[1].glob("*.png"))]
    still = cv2.imread(str(stills / "1.png"))
    places = []
    for frame in frames:
        assert frame.shape == (60, 60, 3)
        match = cv2.matchTemplate(still, frame, cv2.TM_SQDIFF)
        top, left = np.unravel_index(match.argmin(), match.shape)
        assert np.array_equal(still[top : top + 60, left : left + 60], frame)
        places.append((top, left))
    assert len(set(places)) > 5
    before = (films[0] / "0000.png").stat().st_mtime_ns
    assert pans.make_films(stills, tmp_path / "out") == films
    assert (films[0] / "0000.png").stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="there is no picture in it"):
        pans.make_films(tmp_path / "out", tmp_path / "other")


def test_views_stay_inside_at_any_speed() -> None:
    still = np.arange(50 * 70 * 3, dtype=np.uint8).reshape(50, 70, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(_BENCH))
        import pans
    for seed in range(40):
        views = pans.pan(still, 40, 60, np.random.default_rng(seed))
        assert {view.shape for view in views} == {(40, 40, 3)}


def _result(model: list[float], prototype: list[float]) -> dict[str, Any]:
    return {
        "clips": [
            {
                "clip": f"clips/{index}",
                "display_name": f"clip{index}",
                "frames": 24,
                "psnr_prototype": prototype[index],
                "psnr_model": psnr,
                "failure": None,
            }
            for index, psnr in enumerate(model)
        ],
        "macs_per_pixel": 3500.0,
        "macs_per_pixel_prototype": 355440.0,
        "seconds_per_megapixel": 0.1,
        "seconds_per_megapixel_prototype": 6.7,
        "spec": "{}",
        "trial_states": {"succeeded": 3},
    }


def test_both_are_compared_clip_by_clip(headline: ModuleType) -> None:
    found, stack = _result([31.0, 25.0], [29.0, 26.0]), _result([30.0, 24.5], [29.0, 26.0])
    figures = headline.compared(found, stack)
    assert figures["mean_db"] == pytest.approx(
        {
            "prototype": 27.5,
            "found": 28.0,
            "ahead_of_prototype": 0.5,
            "stack": 27.25,
            "ahead_of_stack": 0.75,
        }
    )
    assert figures["below_prototype"] == ["clip1"]
    lines = headline.table(figures)
    assert lines[-3].split() == ["mean", "27.50", "28.00", "0.50", "27.25", "0.75"]
    assert lines[-2] == "MAC/px: prototype 355,440, found 3,500, stack 3,500"
    assert "stack" not in headline.compared(found, None)["mean_db"]


def test_figures_of_other_frames_are_refused(headline: ModuleType) -> None:
    with pytest.raises(SystemExit, match="clip0 was judged on different frames"):
        headline.compared(_result([31.0], [29.0]), _result([30.0], [29.4]))


def test_figures_of_other_settings_are_not_taken_over(
    headline: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []

    def tune(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        report = Path(command[command.index("--out") + 1])
        report.mkdir(exist_ok=True)
        (report / "result.json").write_text(json.dumps(_result([31.0], [29.0])))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(headline.subprocess, "run", tune)
    options = argparse.Namespace(
        out=tmp_path,
        prototype="builtin:classical",
        test=["a.mp4"],
        noise="0.01,0.0005",
        seed="0",
        device="cpu",
        more=[],
    )

    def found(minutes: str) -> dict[str, Any]:
        figures: dict[str, Any] = headline._tune(options, ["b.mp4"], "found", ["--minutes", minutes], 1)
        return figures

    assert found("30") == found("30")
    assert len(ran) == 1
    with pytest.raises(SystemExit, match="other settings"):
        found("60")
    options.device = "cuda"
    with pytest.raises(SystemExit, match="other settings"):
        found("30")
    # Of an unknown making.
    (tmp_path / "found-settings.json").unlink()
    with pytest.raises(SystemExit, match="other settings"):
        found("30")
