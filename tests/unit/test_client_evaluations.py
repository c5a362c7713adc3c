"""Both clients on evaluations, against a real gRPC server with hand-written services."""

from concurrent import futures

import grpc
import pytest
from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2, evaluation_pb2_grpc
from autoisp.ingest.v1 import ingest_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp.registry.v1 import registry_pb2, registry_pb2_grpc
from autoisp_client import AsyncClient, Client
from autoisp_client.subjects import subject_of
from autoisp_core.errors import InvalidArgumentError, NotFoundError

CANCELLED = evaluation_pb2.EVALUATION_STATE_CANCELLED


class Evaluations(evaluation_pb2_grpc.EvaluationServiceServicer):
    """Remembers what it is asked; a watch breaks once in the middle."""

    def __init__(self):
        self.requests = []
        self.watches = 0

    def CreateEvaluation(self, request, context):  # noqa: N802 - gRPC calls it so
        self.requests.append(request)
        return request.evaluation

    def WatchEvaluation(self, request, context):  # noqa: N802 - gRPC calls it so
        self.watches += 1
        running = evaluation_pb2.EVALUATION_STATE_RUNNING
        yield evaluation_pb2.Evaluation(name=request.name, state=running, seed=int(request.frames))
        if self.watches == 1:
            context.abort(grpc.StatusCode.UNAVAILABLE, "going down")
        yield evaluation_pb2.Evaluation(name=request.name, state=CANCELLED)

    def CancelEvaluation(self, request, context):  # noqa: N802 - gRPC calls it so
        return evaluation_pb2.Evaluation(name=request.name, state=CANCELLED)

    def CompareSubjects(self, request, context):  # noqa: N802 - gRPC calls it so
        self.requests.append(request)
        return evaluation_pb2.CompareSubjectsResponse(comparisons=[evaluation_pb2.Comparison(metric="psnr")])

    def CheckGate(self, request, context):  # noqa: N802 - gRPC calls it so
        return evaluation_pb2.GateReport(passed="psnr" in request.gate)


class Registry(registry_pb2_grpc.RegistryServiceServicer):
    """Knows one version, and takes files."""

    def GetModelVersion(self, request, context):  # noqa: N802 - gRPC calls it so
        if not request.name.endswith(("champion", "3")):
            context.abort(grpc.StatusCode.NOT_FOUND, "no such version")
        return registry_pb2.ModelVersion(name="models/night/versions/3")

    def UploadArtifact(self, request_iterator, context):  # noqa: N802 - gRPC calls it so
        header = next(request_iterator).header
        data = b"".join(request.chunk for request in request_iterator)
        return common_pb2.Artifact(sha256=header.sha256, size_bytes=len(data), media_type=header.media_type)


@pytest.fixture
def services():
    server = grpc.server(futures.ThreadPoolExecutor(4))
    evaluations = Evaluations()
    evaluation_pb2_grpc.add_EvaluationServiceServicer_to_server(evaluations, server)
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(Registry(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}", evaluations
    server.stop(0).wait()


@pytest.fixture
def sources(tmp_path):
    path = tmp_path / "small.onnx"
    path.write_bytes(b"network")
    return {
        "prototype": "builtin:classical",
        "model": "models/night/versions/champion",
        "file": f"onnx:{path}",
        "path": path,
        "stored": common_pb2.Artifact(uri="blobs/aa"),
        "slow": prototype_pb2.Prototype(builtin="slow"),
        "again": evaluation_pb2.Subject(label="other", model_version="models/night/versions/3"),
    }


def assert_as_asked(request):
    evaluation = request.evaluation
    assert (evaluation.dataset, evaluation.split) == ("datasets/d", ingest_pb2.SPLIT_TEST)
    assert list(evaluation.metrics) == ["psnr"]
    assert (evaluation.gate, evaluation.frames_per_clip, evaluation.seed) == ("g", 4, 7)
    assert evaluation.sensor.builtin == "phone"
    assert request.request_id
    subjects = {subject.label: subject for subject in evaluation.subjects}
    assert list(subjects) == ["prototype", "model", "file", "path", "stored", "slow", "again"]
    assert subjects["prototype"].prototype.builtin == "classical"
    assert subjects["model"].model_version == subjects["again"].model_version == "models/night/versions/3"
    assert subjects["file"].onnx == subjects["path"].onnx
    assert subjects["file"].onnx.size_bytes == 7
    assert subjects["stored"].onnx.uri == "blobs/aa"
    assert subjects["slow"].prototype.builtin == "slow"


def test_evaluations_as_users_ask_for_them(services, sources):
    address, evaluations = services
    with Client(address) as client:
        client.create_evaluation("datasets/d", sources, metrics=["psnr"], gate="g", seed=7, frames_per_clip=4)
        assert_as_asked(evaluations.requests[0])
        states = [update.state for update in client.watch_evaluation("evaluations/e", frames=True)]
        assert states[-1] == CANCELLED
        assert evaluations.watches == 2
        assert next(client.watch_evaluation("evaluations/e", frames=True)).seed == 1
        assert next(client.watch_evaluation("evaluations/e")).seed == 0
        assert client.cancel_evaluation("evaluations/e").state == CANCELLED
        found = client.compare_subjects("evaluations/e", "a", "b", margins={"psnr": 0.1})
        assert [comparison.metric for comparison in found] == ["psnr"]
        assert evaluations.requests[1].margins == {"psnr": 0.1}
        assert evaluations.requests[1].scope == evaluation_pb2.Comparison.SCOPE_THESE_CLIPS
        assert client.check_gate("evaluations/e", "psnr").passed
        assert not client.check_gate("evaluations/e", "ssim").passed


async def test_evaluations_in_asyncio(services, sources):
    address, evaluations = services
    async with AsyncClient(address) as client:
        await client.create_evaluation(
            "datasets/d", sources, metrics=["psnr"], gate="g", seed=7, frames_per_clip=4
        )
        assert_as_asked(evaluations.requests[0])
        states = [update.state async for update in client.watch_evaluation("evaluations/e", frames=True)]
        assert states[-1] == CANCELLED
        assert (await client.cancel_evaluation("evaluations/e")).state == CANCELLED
        found = await client.compare_subjects("evaluations/e", "a", "b")
        assert [comparison.metric for comparison in found] == ["psnr"]
        assert (await client.check_gate("evaluations/e", "psnr")).passed


@pytest.mark.parametrize("source", ["classical", "builtin:", "onnx:", "", "file:x.onnx"])
def test_what_is_no_source(source):
    with pytest.raises(InvalidArgumentError, match="builtin:classical, onnx:FILE"):
        subject_of("model", source)


def test_what_is_not_there(services, tmp_path):
    address, evaluations = services
    with Client(address) as client:
        with pytest.raises(NotFoundError):
            client.create_evaluation("datasets/d", {"model": "models/night/versions/9"})
        with pytest.raises(InvalidArgumentError, match="no file"):
            client.create_evaluation("datasets/d", {"model": tmp_path / "none.onnx"})
        with pytest.raises(InvalidArgumentError, match="train, validation, test"):
            client.create_evaluation("datasets/d", {}, split="all")
    assert evaluations.requests == []
