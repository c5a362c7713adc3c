"""The sensor profile: round trips, and every mistake answered with the key."""

import contextlib
import json
import random
import time
import tomllib
from typing import Any
from unittest.mock import patch

import pytest
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.profile_toml import MAX_TOML_BYTES, parsed_toml
from autoisp_core.sensor import IDENTITY_CCM, Noise, NoiseRange, SensorProfile, builtin
from hypothesis import given, settings
from hypothesis import strategies as st

_FULL = """
name = "bench"
cfa = "GBRG"
black_level = 256
white_level = 4095
ccm = [[1.4, -0.3, -0.1], [-0.2, 1.4, -0.2], [0.0, -0.4, 1.4]]
[gains]
red = 1.8
green = 1.0
blue = 2.1
red_range = [1.5, 2.0]
blue_range = [1.8, 2.4]
[noise]
shot_min = 0.0002
shot_max = 0.01
test = { shot = 0.01, read = 0.0005 }
"""


def test_phone_has_a_real_colour_matrix_and_no_fixed_noise() -> None:
    phone = builtin("phone")
    assert phone.gains == (2.0, 1.0, 1.7)
    assert not phone.has_identity_ccm
    assert phone.test_noise is None
    assert len(phone.evaluation_noises()) == 3
    assert phone.with_identity_ccm().ccm == IDENTITY_CCM


def test_toml_is_read_whole() -> None:
    sensor = SensorProfile.from_toml(_FULL)
    assert sensor.cfa == "GBRG"
    assert sensor.gains == (1.8, 1.0, 2.1)
    assert sensor.red_range == (1.5, 2.0)
    assert sensor.ccm[1] == (-0.2, 1.4, -0.2)
    assert sensor.noise_range.shot_min == 0.0002
    assert sensor.test_noise == Noise(0.01, 0.0005)
    assert sensor.evaluation_noises() == (Noise(0.01, 0.0005),)


@pytest.mark.parametrize("sensor", [builtin("phone"), SensorProfile.from_toml(_FULL)])
def test_json_round_trip_is_exact_and_canonical(sensor: SensorProfile) -> None:
    again = SensorProfile.from_json(sensor.to_json())
    assert again == sensor
    assert again.to_json() == sensor.to_json()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("name = 3", "sensor.name"),
        ("", "sensor.name"),
        ("name =", "sensor"),
        ('name = "x"\ncfa = "RGBG"', "sensor.cfa"),
        ('name = "x"\nblack_level = 10\nwhite_level = 5', "sensor.white_level"),
        ('name = "x"\nblack_level = "low"', "sensor.black_level"),
        ('name = "x"\ncolour = 1', "sensor.colour"),
        ('name = "x"\nccm = [[1, 0, 0], [0, 1, 0], [0, 0, 2]]', "sensor.ccm[2]"),
        ('name = "x"\nccm = [[1, 0], [0, 1]]', "sensor.ccm"),
        ('name = "x"\nccm = [[1, 0], [0, 1], [0, 0]]', "sensor.ccm[0]"),
        ('name = "x"\nccm = [[1, 0, 0], [1, 0, 0], [1, 0, 0]]', "sensor.ccm"),
        ('name = "x"\ngains = 2', "sensor.gains"),
        ('name = "x"\n[gains]\nred = 0', "sensor.gains.red"),
        ('name = "x"\n[gains]\nred_range = [3, 2]', "sensor.gains.red_range"),
        ('name = "x"\n[gains]\npurple = 1', "sensor.gains.purple"),
        ('name = "x"\n[noise]\nshot_min = 0', "noise.shot_min"),
        ('name = "x"\n[noise]\nread_spread = -1', "noise.read_spread"),
        ("name = " + "1" * 5000, "sensor"),
        ('name = "x"\n[noise.test]\nshot = 0.01', "sensor.noise.test.read"),
        ('name = "x"\n[noise.test]\nshot = 2\nread = 0', "noise.shot"),
    ],
)
def test_mistakes_name_the_key(text: str, field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        SensorProfile.from_toml(text)
    assert caught.value.field == field
    assert len(caught.value.message) > 20


@pytest.mark.parametrize("text", ["0.01", "a,b", "0.01,0.1,1", "-1,0", "0.01,nan"])
def test_noise_of_the_command_line_is_checked(text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        Noise.parse(text)


def test_noise_is_parsed() -> None:
    assert Noise.parse("0.01,0.0005") == Noise(0.01, 0.0005)


def test_unknown_builtin_says_which_exist() -> None:
    with pytest.raises(InvalidArgumentError, match="builtin:phone"):
        builtin("lens")


def test_read_noise_far_above_the_scale_is_all_of_it() -> None:
    """The exponential of such an intercept is more than a float holds."""
    assert NoiseRange(read_intercept=1e300).at(0.5).read == 1.0


@given(st.integers(0, 2**32))
def test_drawn_noise_lies_in_the_range(seed: int) -> None:
    noise = NoiseRange().draw(random.Random(seed))
    assert 1e-4 <= noise.shot <= 0.012 + 1e-12
    # The line of Brooks et al. at its ends, plus and minus six spreads.
    assert 1e-9 < noise.read < 2e-3


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100))
def test_toml_round_trip_of_any_name(name: str) -> None:
    """Also of characters beyond U+FFFF, of control characters and of quotes."""
    sensor = SensorProfile(name, test_noise=Noise(1e-7, 0.0))
    assert SensorProfile.from_toml(sensor.to_toml()) == sensor


@pytest.mark.parametrize("name", ["cam \U0001f4f7", "\x7f", "a\r\nb\0\x85\u2028", '"""\\u0041', "\ufeff"])
def test_toml_round_trip_of_a_name(name: str) -> None:
    assert SensorProfile.from_toml(SensorProfile(name).to_toml()).name == name


@pytest.mark.parametrize("half", [chr(0xD83D), chr(0xDCFF)])
def test_half_a_surrogate_pair_is_no_name(half: str) -> None:
    with pytest.raises(InvalidArgumentError, match="surrogate") as caught:
        SensorProfile.from_json(json.dumps({"name": f"cam {half}"}))
    assert caught.value.field == "sensor.name"


@pytest.mark.parametrize(
    "text",
    [
        "a." * 8000 + "a = 1",
        "a . " * 4000 + "a = 1",
        "[" + "a." * 8000 + "a]",
        'x = {b = """c"""", ' + "a." * 8000 + 'a = "d"}',
        "'a'.\"b\"." * 2000 + "a = 1",
        "'#'." * 2000 + "a = 1 # b",
        "[" * 16_000,
        "a" * 16_000,
        '"""\n\\' * 3000,
        '"\\' * 8000,
        "'''\n" * 4000 + "'",
        "a = 1 " + " " * 16_000,
        "name = 3 # " + "x" * MAX_TOML_BYTES,
    ],
    ids=range(13),
)
def test_no_text_takes_long_to_refuse(text: str) -> None:
    """It is read on the event loop; without limits the first of these takes seconds and 250 MB."""
    start = time.thread_time()
    with pytest.raises(InvalidArgumentError):
        SensorProfile.from_toml(text)
    assert time.thread_time() - start < 0.25


@pytest.mark.parametrize(
    "text",
    [
        'name = "v1.2.3.4.5.6.7"  # see docs.a.b.c.d.e.f',
        "# 1.2.3.4.5.6.7 'quoted\nname = '''\n1.2.3.4.5.6.7'''",
        'name = """a.b.c.d.e.f.g\\"""." ""\\"""""',
        'name = "m"\nccm=[[1.0,0.0,0.0],[0.0,1.0,0.0],[0.0,0.0,1.0]]',
    ],
)
def test_dots_outside_of_keys_are_fine(text: str) -> None:
    assert SensorProfile.from_toml(text).name == tomllib.loads(text)["name"]


# What may stand before a long key, with quotes and comments that do or do not end there.
_OPENED = st.sampled_from(["", "b=", "b={c=", "b=[", "[", "{"])
_QUOTED = st.lists(
    st.sampled_from(['"', '""', '"""', "'", "''", "'''", "\\", "x", "#", "\n", ".", " "]), max_size=8
).map("".join)
_CLOSED = st.sampled_from(["", "\n", ",", "}\n", "]\n", "\r\n", " "])
_LONG = st.just("a.a.a.a.a.a=1")


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.tuples(_OPENED, _QUOTED, _CLOSED, _LONG, _CLOSED).map("".join), max_size=3).map("".join))
def test_the_parser_sees_no_long_key(text: str) -> None:
    """Whatever quotes and comments are about."""
    lengths = [0]
    original = tomllib._parser.parse_key

    def counting(source: str, position: int) -> Any:
        position, key = original(source, position)
        lengths.append(len(key))
        return position, key

    with patch.object(tomllib._parser, "parse_key", counting), contextlib.suppress(InvalidArgumentError):
        parsed_toml("sensor", text)
    assert max(lengths) <= 5
