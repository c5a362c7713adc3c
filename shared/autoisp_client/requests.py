"""The messages that both clients send, and the ends of the streams that both watch."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp.registry.v1 import registry_pb2
from autoisp.search.v1 import search_pb2
from autoisp_core.errors import InvalidArgumentError

from autoisp_client.payload import Payload

_SEARCH_ENDS = {
    search_pb2.SEARCH_STATE_SUCCEEDED,
    search_pb2.SEARCH_STATE_FAILED,
    search_pb2.SEARCH_STATE_CANCELLED,
}
_EVALUATION_ENDS = {
    evaluation_pb2.EVALUATION_STATE_SUCCEEDED,
    evaluation_pb2.EVALUATION_STATE_FAILED,
    evaluation_pb2.EVALUATION_STATE_CANCELLED,
}


def search_ended(search: search_pb2.Search) -> bool:
    """Whether the search has come to its end, good or bad."""
    return search.state in _SEARCH_ENDS


def update_is_last(update: search_pb2.SearchUpdate) -> bool:
    """Whether no other update follows."""
    return update.WhichOneof("change") == "search" and search_ended(update.search)


def evaluation_ended(evaluation: evaluation_pb2.Evaluation) -> bool:
    """Whether the evaluation has come to its end, good or bad."""
    return evaluation.state in _EVALUATION_ENDS


def request_id(given: str) -> str:
    """The caller's request id, or a new one: with it a create can be repeated without creating twice."""
    return given or uuid.uuid4().hex


def artifact_upload(payload: Payload, media_type: str) -> Iterator[registry_pb2.UploadArtifactRequest]:
    """The stream of UploadArtifact."""
    header = registry_pb2.UploadArtifactHeader(
        media_type=media_type, size_bytes=payload.size_bytes, sha256=payload.sha256
    )
    yield registry_pb2.UploadArtifactRequest(header=header)
    for chunk in payload.chunks():
        yield registry_pb2.UploadArtifactRequest(chunk=chunk)


def download_request(
    model_version: str, sha256: str, format: str = ""
) -> registry_pb2.DownloadArtifactRequest:
    """Exactly one of the two sources.

    Raises:
        InvalidArgumentError: none or both are given, or a format of a digest.
    """
    if bool(model_version) == bool(sha256):
        raise InvalidArgumentError("model_version", "give either model_version or sha256")
    if model_version:
        return registry_pb2.DownloadArtifactRequest(model_version=model_version, format=format)
    if format:
        raise InvalidArgumentError("format", "a digest names one file; give a format with model_version only")
    return registry_pb2.DownloadArtifactRequest(sha256=sha256)


def dataset_request(
    clips: Sequence[ingest_pb2.DatasetClip],
    dataset_id: str,
    display_name: str,
    given_request_id: str,
    tags: Sequence[str] = (),
) -> ingest_pb2.CreateDatasetRequest:
    """The message of CreateDataset."""
    return ingest_pb2.CreateDatasetRequest(
        dataset_id=dataset_id,
        display_name=display_name,
        clips=clips,
        request_id=request_id(given_request_id),
        tags=tags,
    )
