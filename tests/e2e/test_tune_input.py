"""Wrong footage and prototypes, told by the services: one line, exit code 2, nothing half-written."""

import json

import onnx
import pytest
from autoisp_testing.scenes import moving_scene, write_png_folder, write_video
from command import autoisp, make_footage, press_ctrl_c, start

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with good footage and running services (state ``s``)."""
    folder = tmp_path_factory.mktemp("home")
    make_footage(folder / "clips")
    process = start("up", "--state", "s", "--workers", 1, "--json", folder=folder)
    assert process.stdout is not None
    names = {"ingest", "search", "evaluation", "registry", "live"}
    assert json.loads(process.stdout.readline()).keys() == names
    yield folder
    press_ctrl_c(process)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")


def tune(home, *words, footage="clips"):
    ran = autoisp(
        *("tune", "--footage", footage, "--server", "s/endpoints.json", "--out", "out"),
        *("--reduction", 100, "--rung", "1x5steps"),
        *words,
        folder=home,
    )
    assert "Traceback" not in ran.stderr
    assert not (home / "out" / "result.json").exists()
    return ran.returncode, ran.stderr


def a_text_named_mp4(folder):
    (folder / "bad.mp4").write_text("this is no video\n" * 50)
    return "bad.mp4"


def a_truncated_video(folder):
    whole = write_video(folder / "whole.mp4", moving_scene(20)).read_bytes()
    (folder / "bad.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "whole.mp4").unlink()
    return "bad.mp4"


def a_still(folder):
    write_video(folder / "bad.mp4", moving_scene(1))
    return "bad.mp4"


def a_folder_of_one_frame(folder):
    write_png_folder(folder / "bad", moving_scene(1))
    return "bad"


def no_pictures_in_png(folder):
    (folder / "bad").mkdir(exist_ok=True)
    for index in range(3):
        (folder / "bad" / f"{index}.png").write_text("no picture")
    return "bad"


@pytest.mark.parametrize(
    "make", [a_text_named_mp4, a_truncated_video, a_still, a_folder_of_one_frame, no_pictures_in_png]
)
def test_bad_footage(home, tmp_path, make):
    name = make(tmp_path)
    write_video(tmp_path / "good.mp4", moving_scene(20))
    code, err = tune(home, "--test", tmp_path / "good.mp4", footage=tmp_path)
    assert code == 2, err
    assert f"--footage {tmp_path / name}: " in err
    assert len(err.strip().splitlines()) == 1


def test_footage_too_short_to_split(home, tmp_path):
    write_video(tmp_path / "short.mp4", moving_scene(5))
    code, err = tune(home, "--test", home / "clips" / "zebra", footage=tmp_path)
    assert code == 2
    assert "--footage short: 5 frames are too few" in err


@pytest.mark.parametrize(
    ("words", "option", "fix"),
    [
        (("--strategy", "luck"), "--strategy", "use one of"),
        (("--objectives", "quality,beauty"), "--objectives", "use quality and any of macs and latency"),
        (("--objectives", "macs"), "--objectives", "add quality"),
        (("--objectives", "quality,quality"), "--objectives", "given twice"),
        (("--warm-start", "never"), "--warm-start", "list the searches"),
    ],
)
def test_what_only_the_service_knows(home, words, option, fix):
    code, err = tune(home, *words)
    assert code == 2, err
    assert err.startswith(f"error: {option}: ")
    assert fix in err
    assert len(err.strip().splitlines()) == 1


def test_settings_are_looked_at_before_footage_is_sent(home, tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    (tmp_path / "b.mp4").write_text("no video")
    code, err = tune(home, "--strategy", "luck", footage=tmp_path)
    assert code == 2
    assert "--strategy" in err
    for name in ("blockqnn", "evolution", "nsga2", "random", "tpe"):
        assert name in err


def test_too_many_trials(home):
    ran = autoisp(
        *("tune", "--footage", "clips", "--server", "s/endpoints.json", "--out", "out", "--reduction", 100),
        *("--trials", 99_999),
        folder=home,
    )
    assert ran.returncode == 2
    assert "error: --trials: " in ran.stderr


def test_no_such_builtin_prototype(home):
    code, err = tune(home, "--prototype", "builtin:magic")
    assert code == 2
    assert "--prototype" in err
    assert "builtin:classical" in err


def test_a_prototype_that_is_no_onnx(home):
    (home / "text.onnx").write_text("no network")
    code, err = tune(home, "--prototype", "onnx:text.onnx")
    assert code == 2, err
    assert "--prototype" in err


def test_a_prototype_with_wrong_inputs(home):
    picture = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 3, "h", "w"])
    out = onnx.helper.make_tensor_value_info("srgb", onnx.TensorProto.FLOAT, [1, 3, "h", "w"])
    node = onnx.helper.make_node("Identity", ["image"], ["srgb"])
    graph = onnx.helper.make_graph([node], "g", [picture], [out])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, home / "wrong.onnx")
    code, err = tune(home, "--prototype", "onnx:wrong.onnx")
    assert code == 2, err
    assert "--prototype" in err
    assert "raw" in err


def test_a_budget_that_nothing_meets(home):
    code, err = tune(home, "--budget-macs", 1, "--reduction", 2)
    assert code == 2
    ran = autoisp(
        *("tune", "--footage", "clips", "--server", "s/endpoints.json", "--out", "out", "--budget-macs", 1),
        folder=home,
    )
    assert ran.returncode == 2, ran.stderr
    assert "--budget-macs" in ran.stderr
    code, err = tune(home, "--reduction", 1_000_000)
    assert code == 2, err
    assert "--reduction" in err


def test_one_state_folder_serves_one_run_and_lists_meanwhile(home):
    ran = autoisp("tune", "--footage", "clips", "--reduction", 9, "--state", "s", "--out", "out", folder=home)
    assert ran.returncode == 2
    assert "--state s is in use by process" in ran.stderr
    assert "--server s/endpoints.json" in ran.stderr
    listed = autoisp("clips", "list", "--state", "s", "--json", folder=home)
    assert listed.returncode == 0, listed.stderr
    assert isinstance(json.loads(listed.stdout), list)
    missing = autoisp("models", "show", "nobody", "--state", "s", folder=home)
    assert missing.returncode == 2
    assert missing.stderr.startswith("error: ")
    assert "models/nobody" in missing.stderr
