"""Formats of a version as the worker makes them, with real graphs and real footage."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import pytest
from autoisp.events.v1 import events_pb2
from autoisp_core.spec import LayerType, Spec
from autoisp_core.spec.blocks import chain
from autoisp_isp.edge import FORMATS
from autoisp_isp.export import export_onnx
from autoisp_isp.network import build
from autoisp_isp.runtime_session import load_session
from autoisp_testing.graphs import endless, root_of
from autoisp_worker import wire_conversion
from autoisp_worker.compute import StopReason, StopRequest
from autoisp_worker.config import WorkerConfig
from autoisp_worker.domain_conversion import Conversion, EdgeFormat
from autoisp_worker.jobs import LocalJobs
from autoisp_worker.jobs.faults import StoppedError
from autoisp_worker.tools import Tools
from worker_jobs import ONNX_FORMATS, RECURRENT, SPEC, Footage, reference

DYNAMIC = Spec(chain([(LayerType.DYNAMIC, 3)]), width=8, packing=4, frames=1)


@pytest.fixture
def footage(tmp_path: Path) -> Footage:
    return Footage.make(tmp_path)


def convert(
    footage: Footage,
    model: bytes,
    stop: StopRequest | None = None,
    *,
    config: dict[str, object] | None = None,
    **changes: object,
) -> Conversion:
    jobs = LocalJobs(Tools.of(WorkerConfig(**(config or {})), footage.store))  # type: ignore[arg-type]
    job = wire_conversion.conversion_job(footage.conversion(model, **changes))
    return jobs.convert(job, stop or StopRequest())


def by_name(conversion: Conversion) -> dict[str, EdgeFormat]:
    assert conversion.failure is None
    return {one.format: one for one in conversion.formats}


@pytest.mark.parametrize("spec", [SPEC, RECURRENT, DYNAMIC], ids=["plain", "recurrent", "dynamic"])
def test_every_format_is_made_judged_and_linted(footage: Footage, spec: Spec) -> None:
    model = export_onnx(build(spec))

    conversion = convert(footage, model)

    formats = by_name(conversion)
    assert tuple(formats) == ONNX_FORMATS
    exact = formats["onnx-fp32"]
    assert exact.artifact is not None
    assert exact.artifact.sha256 == hashlib.sha256(model).hexdigest()
    assert (exact.psnr_loss_db, exact.shadow_loss_db) == (0.0, 0.0)
    for one in formats.values():
        assert one.failure is None, one.failure
        assert one.artifact is not None
        assert one.cost is not None
        assert one.quality is not None
        assert one.psnr_loss_db is not None
        data = footage.store.get_bytes(one.artifact)
        assert load_session(data).contract.states == load_session(model).contract.states
        assert one.cost.size_bytes == len(data) == one.artifact.size_bytes
        assert one.cost.seconds_per_megapixel > 0
        assert one.cost.macs_per_pixel == pytest.approx(exact.cost and exact.cost.macs_per_pixel)
        assert one.quality.psnr_db + one.psnr_loss_db == pytest.approx(exact.quality.psnr_db)  # type: ignore[union-attr]
        assert one.psnr_loss_db < 0.3
        assert one.note
        assert {lint.device for lint in one.lints} >= {"phone-npu-10"}
    sent = events_pb2.ModelVersionConverted.FromString(wire_conversion.converted(conversion))
    assert [one.format for one in sent.formats.formats] == list(ONNX_FORMATS)
    assert sent.formats.formats[0].HasField("psnr_loss_db")


def test_without_footage_half_precision_is_checked_and_int8_says_what_it_lacks(footage: Footage) -> None:
    formats = by_name(convert(footage, export_onnx(build(RECURRENT)), manifest=None))

    for name in ("onnx-fp32", "onnx-fp16"):
        assert formats[name].failure is None
        assert formats[name].quality is None
        assert formats[name].shadow_loss_db is None
        assert formats[name].cost is not None
        assert formats[name].lints
    failure = formats["onnx-int8"].failure
    assert failure is not None
    assert failure.reason == "NO_FOOTAGE"
    assert "register it with one" in failure.message
    assert formats["onnx-int8"].artifact is None


def test_a_dataset_without_training_clips_costs_int8_alone(footage: Footage) -> None:
    manifest = footage.only_test()

    formats = by_name(convert(footage, export_onnx(build(SPEC)), manifest=manifest))

    assert formats["onnx-fp16"].quality is not None
    assert formats["onnx-int8"].failure is not None
    assert formats["onnx-int8"].failure.reason == "EMPTY_SPLIT"


def test_a_redelivered_job_gives_the_same_files(footage: Footage) -> None:
    model = export_onnx(build(RECURRENT))

    first, again = (by_name(convert(footage, model)) for _ in range(2))

    assert {name: one.artifact for name, one in first.items()} == {
        name: one.artifact for name, one in again.items()
    }
    assert {name: one.quality for name, one in first.items()} == {
        name: one.quality for name, one in again.items()
    }


def test_a_test_clip_that_cannot_be_read_is_left_out(footage: Footage) -> None:
    footage.entries["c"].clip.frames_uri = "clips/gone/frames"  # the only one

    formats = by_name(convert(footage, export_onnx(build(SPEC)), manifest=footage.everything()))

    for one in formats.values():
        assert one.failure is None
        assert one.quality is None
        assert one.artifact is not None
        assert "judged without 1 of 1 test clips (clips/c: " in one.note


def test_a_file_that_is_no_network_fails_as_a_whole(footage: Footage) -> None:
    conversion = convert(footage, b"nonsense")

    assert conversion.failure is not None
    assert conversion.failure.reason == "INVALID_ARGUMENT"
    assert "ONNX" in conversion.failure.message
    sent = events_pb2.ModelVersionConverted.FromString(wire_conversion.converted(conversion))
    assert sent.WhichOneof("outcome") == "failure"


def test_a_graph_that_never_ends_is_stopped(footage: Footage) -> None:
    conversion = convert(footage, endless(), config={"frame_limit_seconds": 1.0})

    assert conversion.failure is not None
    assert conversion.failure.reason == "MODEL_TIMED_OUT"


def test_pictures_that_are_no_numbers_fail_as_a_whole(footage: Footage) -> None:
    conversion = convert(footage, root_of(float("nan")))

    assert conversion.failure is not None
    assert conversion.failure.reason == "OUTPUT_NOT_FINITE"


@pytest.mark.skipif(importlib.util.find_spec("executorch") is not None, reason="ExecuTorch is there")
def test_executorch_says_how_to_get_it(footage: Footage) -> None:
    formats = by_name(convert(footage, export_onnx(build(SPEC)), formats=["onnx-fp32", "executorch-xnnpack"]))

    one = formats["executorch-xnnpack"]
    assert one.failure is not None
    assert one.failure.reason == "NOT_INSTALLED"
    assert "pip install" in one.failure.message


def test_a_missing_file_is_the_commands_fault(footage: Footage) -> None:
    model = reference(footage.store.put_bytes(b"x"))
    model.uri, model.sha256 = "blobs/ff/" + "f" * 64, "f" * 64

    conversion = convert(footage, b"x", onnx=model)

    assert conversion.failure is not None
    assert conversion.failure.reason == "NO_ARTIFACT"


@pytest.mark.parametrize("reason", [StopReason.TIME_LIMIT, StopReason.SHUTDOWN])
def test_it_stops_when_it_is_asked_to(footage: Footage, reason: StopReason) -> None:
    stop = StopRequest()
    stop.request(reason)

    if reason is StopReason.SHUTDOWN:
        with pytest.raises(StoppedError):
            convert(footage, export_onnx(build(SPEC)), stop)
        return
    failure = convert(footage, export_onnx(build(SPEC)), stop).failure
    assert failure is not None
    assert failure.reason == "TIME_LIMIT"


def test_formats_are_those_that_the_room_makes() -> None:
    assert wire_conversion.FORMATS == FORMATS
