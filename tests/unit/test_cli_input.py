"""Wrong input on the command line: exit code 2 and one line that names the option and the fix."""

import socket

import pytest
from autoisp.search.v1 import search_pb2
from autoisp_cli.__main__ import main
from autoisp_cli.arguments import spread
from autoisp_cli.tune.space_file import read_space


@pytest.fixture
def footage(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"x")
    return str(tmp_path)


def run(capsys, *words):
    code = main(words)
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    ("words", "option", "fix"),
    [
        ([], "--reduction", "--budget-macs"),
        (["--reduction", "100", "--budget-macs", "9"], "--reduction", "either"),
        (["--reduction", "1"], "--reduction", "above 1"),
        (["--reduction", "0.5"], "--reduction", "above 1"),
        (["--reduction", "-3"], "--reduction", "above 1"),
        (["--reduction", "nan"], "--reduction", "above 1"),
        (["--reduction", "many"], "--reduction", "number"),
        (["--budget-macs", "0"], "--budget-macs", "above 0"),
        (["--reduction", "9", "--noise", "0.01"], "--noise", "SHOT,READ"),
        (["--reduction", "9", "--noise", "5,0"], "--noise", "[0, 1]"),
        (["--reduction", "9", "--prototype", "classical"], "--prototype", "builtin:classical"),
        (["--reduction", "9", "--prototype", "onnx:none.onnx"], "--prototype", "check the path"),
        (["--reduction", "9", "--sensor", "builtin:fridge"], "--sensor", "builtin:phone"),
        (["--reduction", "9", "--sensor", "none.toml"], "--sensor", "builtin:phone"),
        (
            ["--reduction", "9", "--sensor", "sensorProfiles/a/b"],
            "--sensor",
            "sensorProfiles/{sensorProfile}",
        ),
        (["--reduction", "9", "--minutes", "0"], "--minutes", "at least"),
        (["--reduction", "9", "--objectives", ""], "--objectives", "quality,macs"),
        (["--reduction", "9", "--objectives", "quality,"], "--objectives", "quality,macs"),
        (["--reduction", "9", "--warm-start", "No One"], "--warm-start", "searches/{search}"),
        (["--reduction", "9", "--warm-start", "models/m"], "--warm-start", "searches/{search}"),
        (["--reduction", "9", "--space", "none.json"], "--space", "check the path"),
        (["--reduction", "9", "--augment", "wild"], "--augment", "adversarial"),
        (["--reduction", "9", "--gate", "none.toml"], "--gate", "no such file"),
        (["--reduction", "9", "--distill", "2"], "--distill", "0 (none) to 1"),
        (["--reduction", "9", "--distill", "nan"], "--distill", "0 (none) to 1"),
        (["--reduction", "9", "--distill-features", "relu"], "--distill-features", "a weight above 0"),
        (["--reduction", "9", "--distill-features", "relu:0"], "--distill-features", "a weight above 0"),
        (["--reduction", "9", "--distill-features", "relu:-1"], "--distill-features", "above 0"),
        (["--reduction", "9", "--distill-features", ":1"], "--distill-features", "a weight above 0"),
        (["--reduction", "9", "--trials", "5", "--rung", "5x5s"], "--trials", "--rung"),
        (["--reduction", "9", "--seed", "-1"], "--seed", "0 or more"),
        (["--reduction", "9", "--trials", "0"], "--trials", "at least 1"),
        (["--reduction", "9", "--rung", "5 of 20s"], "--rung", "8x20s"),
        (["--reduction", "9", "--rung", "5x1.5steps"], "--rung", "8x20s"),
        (["--reduction", "9", "--rung", "0x5s"], "--rung", "8x20s"),
        (["--reduction", "9", "--rung", "99999999999x5s"], "--rung", "at most 2,147,483,647"),
        (["--reduction", "9", "--rung", "9" * 5000 + "x5s"], "--rung", "at most 2,147,483,647"),
        (["--reduction", "9", "--rung", "5x99999999999steps"], "--rung", "at most 2,147,483,647"),
        (["--reduction", "9", "--rung", "5x" + "9" * 400 + "s"], "--rung", "at most 2,592,000 seconds"),
        (["--reduction", "9", "--trials", "99999999999"], "--trials", "at most 2,147,483,647"),
        (["--reduction", "9", "--workers", "99999999999"], "--workers", "at most 2,147,483,647"),
        (["--reduction", "9", "--seed", str(2**63)], "--seed", "2^63"),
        (["--reduction", "9", "--minutes", "1e300"], "--minutes", "at most 43,200"),
        (["--reduction", "9", "--minutes", "inf"], "--minutes", "at most 43,200"),
        (["--reduction", "9", "--minutes", "nan"], "--minutes", "at least"),
        (["--reduction", "9", "--test-frames", "few"], "--test-frames", "all"),
        (["--reduction", "9", "--test-frames", "0"], "--test-frames", "all"),
        (["--reduction", "9", "--test-frames", "²"], "--test-frames", "all"),
        (["--reduction", "9", "--test-frames", "99999999999"], "--test-frames", "at most 2,147,483,647"),
        (["--reduction", "9", "--prototype", "onnx:" + "a" * 5000], "--prototype", "check the path"),
        (["--reduction", "9", "--sensor", "a" * 5000], "--sensor", "check the path"),
        (["--reduction", "9", "--prototype", "onnx:~nobody-here/a.onnx"], "--prototype", "check the path"),
        (["--reduction", "9", "--sensor", "~nobody-here/a.toml"], "--sensor", "check the path"),
        (["--reduction", "9", "--space", "~nobody-here/a.json"], "--space", "check the path"),
        (["--reduction", "9", "--test", "~nobody-here/a.mp4"], "--test", "the clips are a, b"),
        (["--reduction", "9", "--model", "My Model"], "--model", "lowercase"),
        (["--reduction", "9", "--test", "nobody"], "--test", "the clips are a, b"),
        (["--reduction", "9", "--workers", "0"], "--workers", "1"),
    ],
)
def test_tune_options(capsys, footage, tmp_path, words, option, fix):
    out = tmp_path / "out"
    code, _, err = run(capsys, "tune", "--footage", footage, "--out", str(out), *words)
    assert code == 2
    assert err.startswith("error: ")
    assert option in err
    assert fix in err
    assert len(err.strip().splitlines()) == 1
    assert not out.exists()


def test_a_sensor_file_with_a_wrong_key(capsys, footage, tmp_path):
    path = tmp_path / "sensor.toml"
    path.write_text('name = "mine"\nblack_levle = 64\n')
    code, _, err = run(capsys, "tune", "--footage", footage, "--reduction", "9", "--sensor", str(path))
    assert code == 2
    assert "--sensor" in err
    assert "black_levle" in err


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("widths: 8", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[8, 16]", "must be a JSON object"),
        ('{"widht": [8]}', "widht: there is no such key; a space has types, kernels"),
        ('{"widths": 8}', 'widths: 8 is no list of choices; write it as in "widths": [8'),
        ('{"widths": []}', "widths: [] is no list"),
        ('{"widths": [8.5]}', "widths: 8.5 is no whole number"),
        ('{"widths": [true]}', "widths: true is no whole number"),
        ('{"widths": [2]}', "widths: widths must be 4 or more"),
        ('{"widths": [99999999999]}', "widths: 99999999999 is out of range"),
        ('{"max_layers": [3]}', 'max_layers: [3] is no whole number; write it as in "max_layers": 5'),
        ('{"max_layers": 23}', "max_layers: max_layers must be 1 … 22"),
        ('{"types": ["CONV", "MAGIC"]}', 'types: there is no layer type "MAGIC"; use 1 or CONV'),
        ('{"types": [99]}', "types: there is no layer type 99"),
        ('{"types": [5]}', "types: no type with one predecessor"),
        ('{"packings": [3]}', "packings: packings has [3]; allowed are [2, 4, 8]"),
        ('{"kernels": [2]}', "kernels: kernels has [2]; allowed are [1, 3, 5, 7]"),
        ('{"recurrent": [2]}', "recurrent: recurrent has [2]; allowed are [0, 1]"),
    ],
)
def test_a_wrong_space_names_its_key(capsys, footage, tmp_path, text, why):
    path = tmp_path / "space.json"
    path.write_text(text)
    code, _, err = run(capsys, "tune", "--footage", footage, "--reduction", "9", "--space", str(path))
    assert code == 2
    assert f"error: --space {path}: {why}" in err
    assert len(err.strip().splitlines()) == 1


def test_a_space_says_only_what_its_file_says(tmp_path):
    path = tmp_path / "space.json"
    path.write_text('{"types": ["conv", 8, "Gate"], "widths": [8, 16], "recurrent": [0, 1], "max_layers": 3}')
    assert read_space(path) == search_pb2.SearchSpace(
        types=[1, 8, 11], widths=[8, 16], recurrent=[0, 1], max_layers=3
    )


def test_footage_in_a_home_that_is_not_there(capsys):
    code, _, err = run(capsys, "tune", "--footage", "~nobody-here/clips", "--reduction", "9")
    assert code == 2
    assert err == "error: --footage ~nobody-here/clips: no such file or folder; check the path\n"


def test_a_benchmark_into_a_file(capsys, tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    code, _, err = run(capsys, "bench", "search", "--out", str(path), "--seeds", "1", "--trials", "1")
    assert code == 2
    assert err == f"error: --out {path} is a file; give a folder\n"


def test_missing_footage(capsys, tmp_path):
    code, _, err = run(capsys, "tune", "--footage", str(tmp_path / "no.mp4"), "--reduction", "9")
    assert (code, err) == (
        2,
        f"error: --footage {tmp_path / 'no.mp4'}: no such file or folder; check the path\n",
    )


def test_an_out_that_is_a_file(capsys, footage, tmp_path):
    code, _, err = run(
        capsys, "tune", "--footage", footage, "--reduction", "9", "--out", str(tmp_path / "a.mp4")
    )
    assert code == 2
    assert "--out" in err


def test_an_out_that_cannot_be_written(capsys, footage):
    code, _, err = run(
        capsys, "tune", "--footage", footage, "--reduction", "9", "--out", "/proc/autoisp-report"
    )
    assert code == 2
    assert "--out /proc/autoisp-report" in err
    assert "choose another folder" in err


@pytest.fixture
def dead_address():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def test_a_dead_server(capsys, footage, tmp_path, dead_address):
    words = ["tune", "--footage", footage, "--reduction", "9", "--out", str(tmp_path / "o")]
    code, _, err = run(capsys, *words, "--server", dead_address)
    assert code == 2
    assert dead_address in err
    assert "autoisp up" in err


def test_a_dead_server_of_a_list(capsys, dead_address):
    code, _, err = run(capsys, "models", "list", "--server", dead_address)
    assert code == 2
    assert dead_address in err


@pytest.mark.parametrize("server", ["nonsense", "search=a:1", "no/endpoints.json"])
def test_no_address(capsys, footage, tmp_path, server):
    words = ["tune", "--footage", footage, "--reduction", "9", "--out", str(tmp_path / "o")]
    code, _, err = run(capsys, *words, "--server", server)
    assert code == 2
    assert "HOST:PORT" in err


def test_a_list_without_anything_to_list(capsys, tmp_path):
    code, _, err = run(capsys, "searches", "list", "--state", str(tmp_path / "none"))
    assert code == 2
    assert "--state" in err
    assert "autoisp tune" in err
    assert not (tmp_path / "none").exists()


def test_unknown_words_and_no_words(capsys):
    code, _, err = run(capsys, "toon")
    assert code == 2
    assert err.startswith("error: No such command 'toon'")
    assert run(capsys, "tune", "--footage", "a", "--fast")[0] == 2
    code, _, err = run(capsys)
    assert err.startswith("Usage:")


def test_options_take_what_a_glob_gives():
    words = ["tune", "--footage", "a", "b", "--test", "c", "--rung", "4x1s", "2x2s", "--seed", "1", "-h"]
    assert spread(["--subject", "a=b", "c=d"]) == ["--subject", "a=b", "--subject", "c=d"]
    assert spread(["--warm-start", "a", "b"]) == ["--warm-start", "a", "--warm-start", "b"]
    assert spread(words) == [
        *("tune", "--footage", "a", "--footage", "b", "--test", "c"),
        *("--rung", "4x1s", "--rung", "2x2s", "--seed", "1", "-h"),
    ]


def test_version(capsys):
    code, out, _ = run(capsys, "--version")
    assert code == 0
    assert out.startswith("autoisp ")
