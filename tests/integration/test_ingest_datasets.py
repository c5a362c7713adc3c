"""Datasets through a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from autoisp.ingest.v1 import ingest_pb2
from autoisp.ingest.v1.ingest_pb2 import SPLIT_TEST, SPLIT_TRAIN, SPLIT_UNSPECIFIED, SPLIT_VALIDATION
from autoisp_core.artifact import Artifact
from autoisp_core.errors import ErrorCode
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_testing.scenes import moving_scene, write_video
from ingest_calls import Ingest, refused, running_ingest, upload

Part = ingest_pb2.DatasetClip
FRAMES = 12


@pytest.fixture(scope="module")
def ingest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingest]:
    with running_ingest(tmp_path_factory.mktemp("ingest")) as running:
        yield running


@pytest.fixture(scope="module")
def clips(ingest: Ingest) -> list[str]:
    names = []
    for seed in range(3):
        path = write_video(ingest.folder / f"{seed}.mp4", moving_scene(FRAMES, seed=seed))
        names.append(upload(ingest.stub, path.read_bytes(), path.name).name)
    return names


@pytest.fixture
def store(ingest: Ingest) -> ArtifactStore:
    return ArtifactStore(ingest.artifacts.as_uri())


def parts(clips: list[str]) -> list[ingest_pb2.DatasetClip]:
    return [
        Part(clip=clips[0], split=SPLIT_TRAIN, end_frame=8),
        Part(clip=clips[0], split=SPLIT_VALIDATION, first_frame=8),
        Part(clip=clips[1], split=SPLIT_TRAIN, first_frame=2),
        Part(clip=clips[2], split=SPLIT_TEST),
    ]


def create(ingest: Ingest, clips: list[ingest_pb2.DatasetClip], **fields: str) -> ingest_pb2.Dataset:
    return ingest.stub.CreateDataset(ingest_pb2.CreateDatasetRequest(clips=clips, **fields))  # type: ignore[arg-type]


def test_a_dataset_from_creation_to_deletion(ingest: Ingest, clips: list[str], store: ArtifactStore) -> None:
    dataset = create(ingest, parts(clips), dataset_id="streets", display_name="Streets")
    assert (dataset.name, dataset.display_name) == ("datasets/streets", "Streets")
    assert dataset.clips[1] == Part(clip=clips[0], split=SPLIT_VALIDATION, first_frame=8, end_frame=FRAMES)
    get = ingest_pb2.GetDatasetRequest(name=dataset.name)
    assert ingest.stub.GetDataset(get) == dataset

    # What other services and workers read, without asking ingest.
    shared = store.get_result("datasets/streets")
    assert shared is not None
    assert ingest_pb2.Dataset.FromString(shared) == dataset
    wire = dataset.manifest
    data = store.get_bytes(Artifact(wire.uri, wire.sha256, wire.size_bytes, wire.media_type))
    manifest = ingest_pb2.DatasetManifest.FromString(data)
    assert manifest.dataset == dataset.name
    assert [(entry.split, entry.first_frame, entry.end_frame) for entry in manifest.entries] == [
        (SPLIT_TRAIN, 0, 8),
        (SPLIT_VALIDATION, 8, FRAMES),
        (SPLIT_TRAIN, 2, FRAMES),
        (SPLIT_TEST, 0, FRAMES),
    ]
    for entry in manifest.entries:
        assert entry.clip == ingest.stub.GetClip(ingest_pb2.GetClipRequest(name=entry.clip.name))

    error = refused(ingest.stub.DeleteClip, ingest_pb2.DeleteClipRequest(name=clips[2]))
    assert error.code is ErrorCode.FAILED_PRECONDITION
    assert "datasets/streets" in str(error)

    ingest.stub.DeleteDataset(ingest_pb2.DeleteDatasetRequest(name=dataset.name))
    assert refused(ingest.stub.GetDataset, get).code is ErrorCode.NOT_FOUND
    assert store.get_result("datasets/streets") is None
    assert set(clips) <= set(ingest.clip_names())


def test_the_same_request_makes_one_dataset(ingest: Ingest, clips: list[str]) -> None:
    first = create(ingest, parts(clips), request_id="7d6f2f0e-once")
    assert first.name.startswith("datasets/d")
    assert create(ingest, parts(clips), request_id="7d6f2f0e-once") == first
    assert create(ingest, parts(clips), request_id="7d6f2f0e-twice").name != first.name


def test_a_taken_id(ingest: Ingest, clips: list[str]) -> None:
    first = create(ingest, parts(clips), dataset_id="taken", request_id="taken-1")
    assert create(ingest, parts(clips), dataset_id="taken", request_id="taken-1") == first
    for request_id in ("", "taken-2"):
        request = ingest_pb2.CreateDatasetRequest(
            clips=parts(clips), dataset_id="taken", request_id=request_id
        )
        error = refused(ingest.stub.CreateDataset, request)
        assert (error.code, error.metadata["resource"]) == (ErrorCode.ALREADY_EXISTS, "datasets/taken")


def test_pages(ingest: Ingest, clips: list[str]) -> None:
    made = [create(ingest, parts(clips), dataset_id=f"page-{index}").name for index in range(5)]
    found, token = [], ""
    while True:
        page = ingest.stub.ListDatasets(ingest_pb2.ListDatasetsRequest(page_size=2, page_token=token))
        assert len(page.datasets) <= 2
        found += [dataset.name for dataset in page.datasets]
        token = page.next_page_token
        if not token:
            break
    assert [name for name in found if "page-" in name] == made
    listed = ingest.stub.ListClips(ingest_pb2.ListClipsRequest(page_size=2))
    assert [clip.name for clip in listed.clips] == clips[:2]
    rest = ingest.stub.ListClips(ingest_pb2.ListClipsRequest(page_size=2, page_token=listed.next_page_token))
    assert [clip.name for clip in rest.clips] == clips[2:]
    assert rest.next_page_token == ""
    foreign = ingest_pb2.ListDatasetsRequest(page_token=listed.next_page_token)
    error = refused(ingest.stub.ListDatasets, foreign)
    assert (error.code, error.metadata["field"]) == (ErrorCode.INVALID_ARGUMENT, "page_token")
    error = refused(ingest.stub.ListClips, ingest_pb2.ListClipsRequest(page_size=-1))
    assert (error.code, error.metadata["field"]) == (ErrorCode.INVALID_ARGUMENT, "page_size")


UNKNOWN = "clips/c00000000000000000000"
# What the good parts are changed to, and the field that must be named.
BAD_PARTS = {
    "no clips": ([], "clips"),
    "no test clip": ([0, 1, 2], "clips"),
    "no training clip": ([1, 3], "clips"),
    "no validation clip": ([2, 3], "clips"),
    "unknown clip": ([0, 1, 3, Part(clip=UNKNOWN, split=SPLIT_TRAIN)], "clips[3].clip"),
    "not a clip's name": ([0, 1, 3, Part(clip="bikes.mp4", split=SPLIT_TRAIN)], "clips[3].clip"),
    "no split": ([0, 1, 3, ("b", SPLIT_UNSPECIFIED, 0, 0)], "clips[3].split"),
    "test clip in training": ([0, 1, 3, ("c", SPLIT_TRAIN, 0, 0)], "clips[3].split"),
    "training clip in test": ([0, 1, 3, ("a", SPLIT_TEST, 0, 0)], "clips[3].split"),
    "clip twice in a split": ([0, 1, 3, ("a", SPLIT_TRAIN, 0, 4)], "clips[3].clip"),
    "overlap": ([("a", SPLIT_TRAIN, 0, 9), 1, 3], "clips[1].first_frame"),
    "negative first frame": ([0, 1, 3, ("b", SPLIT_TRAIN, -1, 0)], "clips[3].first_frame"),
    "first frame past the end": ([0, 1, 3, ("b", SPLIT_TRAIN, FRAMES, 0)], "clips[3].first_frame"),
    "end past the end": ([0, 1, 3, ("b", SPLIT_TRAIN, 0, FRAMES + 1)], "clips[3].end_frame"),
    "negative end": ([0, 1, 3, ("b", SPLIT_TRAIN, 0, -1)], "clips[3].end_frame"),
    "end before first": ([0, 1, 3, ("b", SPLIT_TRAIN, 5, 4)], "clips[3].end_frame"),
    "one frame": ([0, 1, 3, ("b", SPLIT_TRAIN, 5, 6)], "clips[3].end_frame"),
}


@pytest.mark.parametrize("case", BAD_PARTS)
def test_bad_clips_of_a_dataset(ingest: Ingest, clips: list[str], case: str) -> None:
    changes, field = BAD_PARTS[case]
    names = dict(zip("abc", clips, strict=True))
    wanted = [
        parts(clips)[change]
        if isinstance(change, int)
        else Part(clip=names[change[0]], split=change[1], first_frame=change[2], end_frame=change[3])  # type: ignore[arg-type]
        if isinstance(change, tuple)
        else change
        for change in changes
    ]
    error = refused(ingest.stub.CreateDataset, ingest_pb2.CreateDatasetRequest(clips=wanted))
    assert (error.code, error.metadata["field"]) == (ErrorCode.INVALID_ARGUMENT, field), str(error)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"dataset_id": "Not Valid"}, "dataset_id"),
        ({"dataset_id": "0zero"}, "dataset_id"),
        ({"display_name": "x" * 300}, "display_name"),
        ({"display_name": "line\nbreak"}, "display_name"),
        ({"request_id": "x" * 200}, "request_id"),
    ],
)
def test_bad_fields_of_a_dataset(
    ingest: Ingest, clips: list[str], fields: dict[str, str], field: str
) -> None:
    request = ingest_pb2.CreateDatasetRequest(clips=parts(clips), **fields)  # type: ignore[arg-type]
    error = refused(ingest.stub.CreateDataset, request)
    assert (error.code, error.metadata["field"]) == (ErrorCode.INVALID_ARGUMENT, field), str(error)


def test_names_that_are_wrong_or_unknown(ingest: Ingest) -> None:
    calls = (
        (ingest.stub.GetClip, ingest_pb2.GetClipRequest, "clips"),
        (ingest.stub.DeleteClip, ingest_pb2.DeleteClipRequest, "clips"),
        (ingest.stub.GetDataset, ingest_pb2.GetDatasetRequest, "datasets"),
        (ingest.stub.DeleteDataset, ingest_pb2.DeleteDatasetRequest, "datasets"),
    )
    for call, request, collection in calls:
        for wrong in ("", "nonsense", f"{collection}/", f"{collection}/../x", f"other/{collection}"):
            error = refused(call, request(name=wrong))
            assert (error.code, error.metadata["field"]) == (ErrorCode.INVALID_ARGUMENT, "name")
        error = refused(call, request(name=f"{collection}/c0"))
        assert (error.code, error.metadata["resource"]) == (ErrorCode.NOT_FOUND, f"{collection}/c0")
