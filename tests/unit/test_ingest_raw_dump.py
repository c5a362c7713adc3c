"""Packed raw values and their sidecar: every bit, and every wrong key."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.noise import Noise
from autoisp_ingest.decoding.raw_packing import PACKINGS
from autoisp_ingest.decoding.raw_sidecar import parse_sidecar
from numpy.typing import NDArray

SIDECAR: dict[str, Any] = {
    "width": 64,
    "height": 48,
    "cfa": "GRBG",
    "bit_depth": 10,
    "packing": "raw10",
    "black_level": 64,
    "white_level": 1023,
}


def packed(mosaic: NDArray[np.uint16], packing: str) -> bytes:
    """One pixel after the other, as MIPI CSI-2 draws them."""
    out = bytearray()
    step = {"raw10": 4, "raw12": 2, "raw16": 1}[packing]
    for row in mosaic:
        for x in range(0, len(row), step):
            group = [int(value) for value in row[x : x + step]]
            group += [0] * (step - len(group))
            if packing == "raw10":
                out += bytes(value >> 2 for value in group)
                out.append(sum((value & 3) << 2 * place for place, value in enumerate(group)))
            elif packing == "raw12":
                out += bytes(value >> 4 for value in group)
                out.append(group[0] & 15 | (group[1] & 15) << 4)
            else:
                out += group[0].to_bytes(2, "little")
    return bytes(out)


@pytest.mark.parametrize(("packing", "bits"), [("raw10", 10), ("raw12", 12), ("raw16", 14), ("raw16", 16)])
@pytest.mark.parametrize("width", [64, 66, 67])
def test_every_bit_of_a_row_comes_back(packing: str, bits: int, width: int) -> None:
    mosaic = np.random.default_rng(width).integers(0, 1 << bits, (6, width), np.uint16)
    kind = PACKINGS[packing]

    data = packed(mosaic, packing)

    assert len(data) == 6 * kind.row_bytes(width)
    np.testing.assert_array_equal(kind.rows(data, width, kind.row_bytes(width)), mosaic)


def test_the_bytes_between_rows_are_left_out() -> None:
    mosaic = np.random.default_rng(0).integers(0, 1024, (6, 64), np.uint16)
    rows = np.frombuffer(packed(mosaic, "raw10"), np.uint8).reshape(6, 80)

    padded = np.pad(rows, ((0, 0), (0, 16)), constant_values=255).tobytes()

    np.testing.assert_array_equal(PACKINGS["raw10"].rows(padded, 64, 96), mosaic)


def test_a_known_group_of_pixels() -> None:
    # 0x3FF, 0, 1, 2: the low bits of the first pixel are the lowest of the fifth byte.
    data = bytes([0xFF, 0x00, 0x00, 0x00, 0b10_01_00_11])
    assert PACKINGS["raw10"].rows(data, 4, 5).tolist() == [[1023, 0, 1, 2]]
    assert PACKINGS["raw12"].rows(bytes([0xAB, 0x12, 0x3C]), 2, 3).tolist() == [[0xABC, 0x123]]
    assert PACKINGS["raw16"].rows(bytes([0x34, 0x12]), 1, 2).tolist() == [[0x1234]]


def test_what_a_sidecar_says() -> None:
    more = {
        "row_stride": 96,
        "frames": 3,
        "frame_rate": 30,
        "camera": "bench",
        "gains": [2.0, 1.0, 1.5],
        "ccm": [[1.5, -0.4, -0.1], [-0.2, 1.4, -0.2], [0.0, -0.5, 1.5]],
        "noise": {"shot": 0.01, "read": 0.0005},
    }
    sidecar = parse_sidecar(json.dumps(SIDECAR | more).encode(), "shot.tar")
    assert (sidecar.format.bit_depth, sidecar.format.cfa, sidecar.row_stride) == (10, "GRBG", 96)
    assert (sidecar.frames, sidecar.frame_rate, sidecar.frame_bytes) == (3, 30.0, 96 * 48)
    assert (sidecar.sensor.name, sidecar.sensor.gains) == ("bench", (2.0, 1.0, 1.5))
    assert sidecar.sensor.test_noise == Noise(0.01, 0.0005)
    plain = parse_sidecar(json.dumps(SIDECAR).encode(), "shot.tar")
    assert (plain.row_stride, plain.frames, plain.frame_rate) == (80, 0, 0.0)
    assert (plain.sensor.name, plain.sensor.has_identity_ccm) == ("shot.tar", True)


def test_a_long_title_names_the_sensor_by_its_beginning() -> None:
    title = "shot-" * 30 + ".tar"
    assert parse_sidecar(json.dumps(SIDECAR).encode(), title).sensor.name == title[:100]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no width": ({"width": ...}, "sidecar.width"),
    "a text as width": ({"width": "64"}, "sidecar.width"),
    "a fraction as width": ({"width": 64.5}, "sidecar.width"),
    "true as width": ({"width": True}, "sidecar.width"),
    "no rows": ({"height": 0}, "sidecar.height"),
    "a negative height": ({"height": -48}, "sidecar.height"),
    "a gigantic height": ({"height": 10**400}, "sidecar.height"),
    "no tile": ({"cfa": "RGB"}, "sidecar.cfa"),
    "a number as tile": ({"cfa": 7}, "sidecar.cfa"),
    "no packing": ({"packing": ...}, "sidecar.packing"),
    "another packing": ({"packing": "raw14"}, "sidecar.packing"),
    "a list as packing": ({"packing": ["raw10"]}, "sidecar.packing"),
    "bits of another packing": ({"bit_depth": 12}, "sidecar.bit_depth"),
    "too many bits": ({"bit_depth": 17, "packing": "raw16"}, "sidecar.bit_depth"),
    "rows that overlap": ({"row_stride": 79}, "sidecar.row_stride"),
    "a null as stride": ({"row_stride": None}, "sidecar.row_stride"),
    "no frames": ({"frames": 0}, "sidecar.frames"),
    "a negative rate": ({"frame_rate": -1}, "sidecar.frame_rate"),
    "a rate that is no number": ({"frame_rate": float("nan")}, "sidecar.frame_rate"),
    "an endless rate": ({"frame_rate": float("inf")}, "sidecar.frame_rate"),
    "no black level": ({"black_level": ...}, "sidecar.black_level"),
    "a negative black level": ({"black_level": -1}, "sidecar.white_level"),
    "black above white": ({"black_level": 1023}, "sidecar.white_level"),
    "white above the bits": ({"white_level": 1024}, "sidecar.white_level"),
    "a white level no float holds": ({"white_level": 10**400}, "sidecar.white_level"),
    "two gains": ({"gains": [1, 1]}, "sidecar.gains"),
    "a gain of 0": ({"gains": [0, 1, 1]}, "sidecar.gains.red"),
    "a matrix of two rows": ({"ccm": [[1, 0, 0], [0, 1, 0]]}, "sidecar.ccm"),
    "a matrix that tints grey": ({"ccm": [[1, 0, 0], [0, 1.1, 0], [0, 0, 1]]}, "sidecar.ccm[1]"),
    "noise without shot": ({"noise": {"read": 0.1}}, "sidecar.noise.shot"),
    "noise above 1": ({"noise": {"shot": 2, "read": 0.1}}, "sidecar.noise.shot"),
    "noise with another key": ({"noise": {"shot": 0.1, "read": 0.1, "iso": 1}}, "sidecar.noise.iso"),
    "a name that is no text": ({"camera": 5}, "sidecar.camera"),
    "a long name": ({"camera": "x" * 101}, "sidecar.camera"),
    "an unknown key": ({"colour": "RGGB"}, "sidecar.colour"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_key_is_named(case: str) -> None:
    changes, field = WRONG[case]
    data = {key: value for key, value in (SIDECAR | changes).items() if value is not ...}
    with pytest.raises(InvalidArgumentError) as caught:
        parse_sidecar(json.dumps(data).encode(), "shot.tar")
    assert caught.value.field == field, str(caught.value)
    assert field.split(".")[1].split("[")[0] in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"7", b'"x"', b"\xff\xfe", b"[" * 100_000, b"1" * 5000])
def test_what_is_no_sidecar_at_all(data: bytes) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_sidecar(data, "shot.tar")
    assert caught.value.field == "sidecar"
