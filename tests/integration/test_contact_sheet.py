"""``autoisp datasets show --sheet`` against the real service."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from autoisp.ingest.v1 import ingest_pb2
from autoisp_cli.__main__ import main
from autoisp_cli.sheet import check_sheet, collect, write_sheet
from autoisp_client import Client, Endpoints
from autoisp_core.errors import InvalidArgumentError
from autoisp_testing.dng import dng_bytes
from ingest_calls import Ingest, real_video, running_ingest, tar_of, upload


@pytest.fixture(scope="module")
def ingest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingest]:
    with running_ingest(tmp_path_factory.mktemp("ingest")) as running:
        yield running


@pytest.fixture(scope="module")
def dataset(ingest: Ingest) -> ingest_pb2.Dataset:
    """Two parts of a video and a raw burst."""
    ramp = np.linspace(64, 1023, 128, dtype=np.uint16)[None].repeat(96, 0)
    burst = tar_of({f"{n}.dng": dng_bytes(ramp, noise_profile=(1e-3, 1e-5)) for n in range(2)})
    bikes = upload(ingest.stub, real_video("bikes.mp4").read_bytes(), "bikes.mp4").name
    raw = upload(ingest.stub, burst, "night <1>.tar").name
    parts = [
        ingest_pb2.DatasetClip(clip=raw, split=ingest_pb2.SPLIT_TEST),
        ingest_pb2.DatasetClip(clip=bikes, split=ingest_pb2.SPLIT_TRAIN, end_frame=100),
        ingest_pb2.DatasetClip(clip=bikes, split=ingest_pb2.SPLIT_VALIDATION, first_frame=110),
    ]
    request = ingest_pb2.CreateDatasetRequest(dataset_id="night", clips=parts, tags=["p-series"])
    return ingest.stub.CreateDataset(request)


@pytest.fixture
def client(ingest: Ingest) -> Iterator[Client]:
    address = ingest.process.address
    with Client(Endpoints(address, address, address, address)) as opened:
        yield opened


def test_what_a_sheet_shows(client: Client, dataset: ingest_pb2.Dataset) -> None:
    sheet = collect(client, dataset)
    assert (sheet.title, sheet.subtitle) == ("night", "2 clips · 1 train, 1 validation, 1 test · p-series")
    train, validation, test = sheet.strips
    assert (train.use, train.title, train.numbers) == ("train", "bikes.mp4", (0, 16, 32, 48, 64, 80))
    assert (validation.numbers[0], len(validation.thumbnails)) == (110, 6)
    assert train.facts[:2] == ("640×272", "frames 0 to 99 of 250")
    assert any(fact.endswith("fps") for fact in train.facts)
    assert any(fact.startswith("8 bits YUV 4:2:0") for fact in train.facts)
    assert (test.title, test.numbers) == ("night <1>.tar", (0, 1))
    assert "10 bits raw RGGB" in test.facts
    assert test.sensor is not None
    assert train.sensor is None


def test_a_thumbnail_is_its_frame(client: Client, dataset: ingest_pb2.Dataset) -> None:
    strip = collect(client, dataset).strips[0]
    with av.open(str(real_video("bikes.mp4"))) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    for number, thumbnail in zip(strip.numbers, strip.thumbnails, strict=True):
        np.testing.assert_allclose(thumbnail.mean((0, 1)), frames[number].mean((0, 1)), atol=2)


def test_as_a_picture(client: Client, dataset: ingest_pb2.Dataset, tmp_path: Path) -> None:
    sheet = collect(client, dataset)
    write_sheet(sheet, tmp_path / "sheet.png")
    with av.open(str(tmp_path / "sheet.png")) as picture:
        pixels = next(picture.decode(video=0)).to_ndarray(format="rgb24")
    thumbnail = sheet.strips[0].thumbnails[0]
    height, width = thumbnail.shape[:2]
    rows, columns = np.nonzero((pixels == thumbnail[0, 0]).all(2))
    assert any(
        np.array_equal(pixels[y : y + height, x : x + width], thumbnail)
        for y, x in zip(rows, columns, strict=True)
    )


def test_as_a_page(client: Client, dataset: ingest_pb2.Dataset, tmp_path: Path) -> None:
    write_sheet(collect(client, dataset), tmp_path / "sheet.html")
    page = (tmp_path / "sheet.html").read_text()
    assert "night &lt;1&gt;.tar" in page
    assert "http" not in page.replace("http-equiv", "")  # everything is in the file
    pictures = re.findall(r"data:image/png;base64,([^\"]+)", page)
    assert len(pictures) == 14
    with av.open(io.BytesIO(base64.b64decode(pictures[0]))) as picture:
        assert picture.streams.video[0].width
    assert page.count("<polyline") == 1  # the noise of the raw clip


def test_from_the_command_line(
    ingest: Ingest, dataset: ingest_pb2.Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = ["--server", ingest.process.address]
    assert main(["datasets", "show", "night", "--sheet", str(tmp_path / "a.png"), *server]) == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert str(tmp_path / "a.png") in capsys.readouterr().out
    assert main(["datasets", "show", "night", "--sheet", "a.gif", *server]) == 2
    assert "--sheet a.gif" in capsys.readouterr().err


def test_a_folder_of_raw_files_from_the_command_line(
    ingest: Ingest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dump").mkdir()
    keys = {"width": 64, "height": 64, "cfa": "RGGB", "bit_depth": 12, "packing": "raw12"}
    sidecar = json.dumps(keys | {"black_level": 0, "white_level": 4095})
    (tmp_path / "dump" / "sidecar.json").write_text(sidecar)
    for index in range(3):
        (tmp_path / "dump" / f"{index}.raw").write_bytes(bytes([index]) * (64 * 64 * 3 // 2))
    assert main(["clips", "upload", str(tmp_path / "dump"), "--server", ingest.process.address]) == 0
    clip = ingest.stub.ListClips(ingest_pb2.ListClipsRequest(page_size=1000)).clips[-1]
    assert (clip.frame_count, clip.codec, clip.format.bit_depth) == (3, "raw12", 12)
    assert clip.name in capsys.readouterr().out


@pytest.mark.parametrize("name", ["sheet.pdf", "sheet", "nowhere/sheet.png"])
def test_a_sheet_that_cannot_be_written_is_refused_first(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        check_sheet(tmp_path / name)
    assert caught.value.field == "--sheet"
    assert name in str(caught.value)
