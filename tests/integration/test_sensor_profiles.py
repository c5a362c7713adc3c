"""Sensor profiles from the command line through a real server, over uploaded raw footage."""

from __future__ import annotations

import asyncio
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from autoisp.ingest.v1 import sensor_profiles_pb2 as wire
from autoisp.ingest.v1 import sensor_profiles_pb2_grpc
from autoisp_cli.__main__ import main
from autoisp_cli.tune.options import TuneOptions
from autoisp_cli.tune.sensor_profile import with_profile
from autoisp_client import AsyncClient, Client
from autoisp_core.errors import ErrorCode, InvalidArgumentError
from autoisp_core.sensor import SensorProfile
from autoisp_testing.raw_scenes import RawCamera, raw_footage, write_raw_dump
from autoisp_testing.scenes import moving_scene, write_video
from ingest_calls import Ingest, refused, running_ingest

CAMERA = RawCamera(0.003, 5e-5, 12, 256)
MATRIX = [[1.5, -0.4, -0.1], [-0.2, 1.4, -0.2], [0.0, -0.5, 1.5]]


@pytest.fixture(scope="module")
def ingest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingest]:
    with running_ingest(tmp_path_factory.mktemp("ingest")) as running:
        yield running


@pytest.fixture(scope="module")
def footage(ingest: Ingest) -> Path:
    """Folders ``scene`` and ``dark``, whose sidecars are wrong about the noise, and a video."""
    folder = ingest.folder / "footage"
    noise = {"noise": {"shot": 0.006, "read": 1e-4}, "ccm": MATRIX, "gains": [2.0, 1.0, 1.5]}
    write_raw_dump(folder / "scene", CAMERA, raw_footage(CAMERA, 8, seed=1), **noise)
    source = np.random.default_rng(0)
    dark = [CAMERA.expose(np.zeros((96, 128)), source) for _ in range(2)]
    write_raw_dump(folder / "dark", CAMERA, dark)
    write_video(folder / "video.mp4", moving_scene(4))
    return folder


@pytest.fixture
def stub(ingest: Ingest) -> Iterator[sensor_profiles_pb2_grpc.SensorProfileServiceStub]:
    with grpc.insecure_channel(ingest.process.address) as channel:
        yield sensor_profiles_pb2_grpc.SensorProfileServiceStub(channel)


def run(ingest: Ingest, *words: object) -> int:
    return main(["sensors", *map(str, words), "--server", ingest.process.address])


def shown(ingest: Ingest, capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    assert run(ingest, *words, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_from_raw_footage_to_a_search_at_its_noise(
    ingest: Ingest, footage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "new" / "noise.html"
    words = ["calibrate", footage / "scene", "--name", "cam", "--dark", footage / "dark", "--out", page]
    version = shown(ingest, capsys, *words)
    found = version["calibration"]
    assert version["name"] == "sensorProfiles/cam/versions/1"
    assert found["method"] == "static frames"
    assert found["noise"]["shot"] == pytest.approx(CAMERA.shot, rel=0.05)
    assert found["noise"]["read"] == pytest.approx(CAMERA.measured_read, rel=0.05)
    assert found["black_level"] == pytest.approx(256, abs=0.3)
    profile = SensorProfile.from_toml(version["toml"])
    assert profile.gains == (2.0, 1.0, 1.5)
    assert [list(row) for row in profile.ccm] == MATRIX

    text = page.read_text()
    assert "sensorProfiles/cam/versions/1" in text
    assert "the footage&#39;s metadata: shot 0.006" in text
    assert text.count("<svg") == 2

    options = TuneOptions(footage=["clips"], out=tmp_path, reduction=100, sensor="sensorProfiles/cam")
    with Client(ingest.process.address) as client:
        resolved = with_profile(client, options)
        assert with_profile(client, TuneOptions(footage=["c"], out=tmp_path, reduction=9)).sensor_toml == ""
        missing = TuneOptions(footage=["c"], out=tmp_path, reduction=9, sensor="sensorProfiles/none")
        with pytest.raises(InvalidArgumentError, match="--sensor"):
            with_profile(client, missing)
    assert resolved.sensor == "sensorProfiles/cam/versions/1"
    assert resolved.sensor_message().toml == version["toml"]


def test_import_list_show_and_delete(
    ingest: Ingest, footage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = tmp_path / "mine.toml"
    profile.write_text('name = "Mine"  # by hand\n')
    tuning = tmp_path / "imx.json"
    sections = [
        {"rpi.black_level": {"black_level": 4096}},
        {"rpi.noise": {"reference_constant": 0, "reference_slope": 3.0}},
        {"rpi.awb": {"ct_curve": [3000, 0.8, 0.4, 6500, 0.5, 0.7]}},
        {"rpi.ccm": {"ccms": [{"ct": 6500, "ccm": [value for row in MATRIX for value in row]}]}},
    ]
    tuning.write_text(json.dumps({"version": 2.0, "algorithms": sections}))

    assert shown(ingest, capsys, "import", profile)["name"] == "sensorProfiles/mine/versions/1"
    assert shown(ingest, capsys, "import", tuning, "--name", "mine")["source"] == "SOURCE_LIBCAMERA"
    taken = shown(ingest, capsys, "import", "--from-clip", footage / "scene", "--name", "other")
    assert tomllib.loads(taken["toml"])["noise"]["test"] == {"shot": 0.006, "read": 1e-4}

    versions = shown(ingest, capsys, "list", "mine")
    assert [version["name"].rpartition("/")[2] for version in versions] == ["2", "1"]
    names = [version["name"] for version in shown(ingest, capsys, "list")]
    assert {"sensorProfiles/mine/versions/2", "sensorProfiles/other/versions/1"} <= set(names)
    assert run(ingest, "list") == 0
    assert "libcamera" in capsys.readouterr().out

    assert run(ingest, "show", "sensorProfiles/mine/versions/1") == 0
    text = capsys.readouterr().out
    assert text.endswith('name = "Mine"  # by hand\n')
    assert SensorProfile.from_toml(text).name == "Mine"
    assert run(ingest, "delete", "mine") == 0
    capsys.readouterr()
    assert run(ingest, "show", "mine") == 2
    assert "sensorProfiles/mine does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["import"], "give either a FILE or --from-clip"),
        (["import", "--from-clip", "c1"], "--name"),
        (["import", "none.toml", "--name", "x"], "check the path"),
        (["import", "{folder}/video.mp4", "--name", "x"], "can't be read as text"),
        (["import", "--from-clip", "{folder}/video.mp4", "--name", "x"], "no raw footage"),
        (["import", "--from-clip", "c0", "--name", "x"], "clips/c0 does not exist"),
        (["calibrate", "{folder}/video.mp4", "--name", "x"], "no raw footage"),
        (["calibrate", "{folder}/dark", "--name", "x"], "film a scene that stands still"),
        (["calibrate", "{folder}/dark", "--name", "x", "--method", "flat"], "without detail"),
        (["calibrate", "{folder}/scene", "--name", "X"], "profile_id 'X' is not a valid id"),
        (["show", "a/b"], "not a name of the form"),
    ],
)
def test_what_is_wrong_and_how_to_mend_it(
    ingest: Ingest, footage: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(ingest, *(word.format(folder=footage) for word in words)) == 2
    assert said in capsys.readouterr().err


def test_the_wire_knows_one_request_and_refuses_strange_tokens(
    stub: sensor_profiles_pb2_grpc.SensorProfileServiceStub,
) -> None:
    request = wire.CreateSensorProfileVersionRequest(profile_id="once", toml='name = "a"', request_id="r1")
    first = stub.CreateSensorProfileVersion(request)
    assert stub.CreateSensorProfileVersion(request) == first
    request.profile_id = "twice"
    assert refused(stub.CreateSensorProfileVersion, request).code is ErrorCode.ALREADY_EXISTS
    parent = wire.ListSensorProfileVersionsRequest(parent="sensorProfiles/once", page_token="x")
    assert refused(stub.ListSensorProfileVersions, parent).code is ErrorCode.INVALID_ARGUMENT
    nothing = wire.CreateSensorProfileVersionRequest(profile_id="once")
    assert refused(stub.CreateSensorProfileVersion, nothing).metadata["field"] == "source"


def test_the_asyncio_client_offers_the_same(ingest: Ingest, footage: Path) -> None:
    async def use() -> None:
        async with AsyncClient(ingest.process.address) as client:
            made = await client.create_sensor_profile_version("async", toml='name = "a"')
            assert await client.get_sensor_profile_version("sensorProfiles/async") == made
            clip = await client.upload_clip(footage / "scene")
            flat = wire.CalibrationRequest.METHOD_FLAT_PATCHES
            found = await client.calibrate_sensor("async", [clip.name], method=flat)
            assert found.calibration.method == "flat patches"
            names = [one.name async for one in client.list_sensor_profile_versions(made.name[:20])]
            assert names == [found.name, made.name]
            await client.delete_sensor_profile("sensorProfiles/async")

    asyncio.run(use())
