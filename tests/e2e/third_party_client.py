"""A client by somebody else: it knows nothing but the addresses; the protos it asks the servers for.

Usage: python third_party_client.py ENDPOINTS.json TRAINING.mp4 TEST.mp4 OUT.onnx
"""

import hashlib
import json
import sys
import time
from pathlib import Path

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase


class Service:
    """A service's methods as plain functions, made from what its server says of itself."""

    def __init__(self, address, name):
        channel = grpc.insecure_channel(address)
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        for method in pool.FindServiceByName(name).methods:
            kind = "stream" if method.client_streaming else "unary"
            kind += "_stream" if method.server_streaming else "_unary"
            call = getattr(channel, kind)(
                f"/{name}/{method.name}",
                request_serializer=GetMessageClass(method.input_type).SerializeToString,
                response_deserializer=GetMessageClass(method.output_type).FromString,
            )
            setattr(self, method.name, call)
            setattr(self, f"{method.name}Request", GetMessageClass(method.input_type))


def upload(ingest, path):
    data = Path(path).read_bytes()

    def requests():
        header = {
            "filename": Path(path).name,
            "size_bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        yield ingest.UploadClipRequest(header=header)
        for start in range(0, len(data), 1 << 19):
            yield ingest.UploadClipRequest(chunk=data[start : start + (1 << 19)])

    return ingest.UploadClip(requests())


def create_dataset(ingest, training, test):
    middle = training.frame_count * 2 // 3
    clips = [
        {"clip": training.name, "split": "SPLIT_TRAIN", "end_frame": middle},
        {"clip": training.name, "split": "SPLIT_VALIDATION", "first_frame": middle},
        {"clip": test.name, "split": "SPLIT_TEST"},
    ]
    return ingest.CreateDataset(ingest.CreateDatasetRequest(dataset_id="theirs", clips=clips))


def run_search(service, dataset):
    search = {
        "dataset": dataset.name,
        "prototype": {"builtin": "classical"},
        "budget": {"macs_per_pixel": 1200},
        "rungs": [{"trials": 2, "steps": 5}],
        "test_frames_per_clip": 2,
    }
    created = service.CreateSearch(service.CreateSearchRequest(search_id="theirs", search=search))
    trials = set()
    for update in service.WatchSearch(service.WatchSearchRequest(name=created.name)):
        if update.WhichOneof("change") == "trial":
            trials.add(update.trial.name)
        else:
            search = update.search
    return search, trials


def find_version(registry, search):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            page = registry.ListModelVersions(registry.ListModelVersionsRequest(parent=search.model))
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
        else:
            if page.model_versions:
                return page.model_versions[0]
        time.sleep(0.2)
    raise TimeoutError(search.model)


def download(registry, version, path):
    parts = registry.DownloadArtifact(registry.DownloadArtifactRequest(model_version=version.name))
    artifact = next(parts).artifact
    data = b"".join(part.chunk for part in parts)
    assert hashlib.sha256(data).hexdigest() == artifact.sha256 == version.onnx.sha256
    Path(path).write_bytes(data)


def main(endpoints, training, test, out):
    addresses = json.loads(Path(endpoints).read_text())
    ingest = Service(addresses["ingest"], "autoisp.ingest.v1.IngestService")
    searches = Service(addresses["search"], "autoisp.search.v1.SearchService")
    registry = Service(addresses["registry"], "autoisp.registry.v1.RegistryService")
    dataset = create_dataset(ingest, upload(ingest, training), upload(ingest, test))
    search, trials = run_search(searches, dataset)
    version = find_version(registry, search)
    download(registry, version, out)
    ours = [name for name in sys.modules if name.split(".")[0].startswith("autoisp")]
    print(
        json.dumps(
            {"trials": len(trials), "version": version.name, "metrics": dict(version.metrics), "ours": ours}
        )
    )


main(*sys.argv[1:])
