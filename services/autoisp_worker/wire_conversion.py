"""Conversions of model versions between the bus and the worker's own words."""

from __future__ import annotations

import re

from autoisp.events.v1 import commands_pb2, events_pb2
from autoisp.registry.v1 import registry_pb2
from autoisp_core import names
from autoisp_core.errors import InvalidArgumentError

from autoisp_worker.domain_conversion import Conversion, ConversionJob, EdgeFormat
from autoisp_worker.wire import artifact_in, artifact_out, cost_out, failure_out, quality_out, sensor_in
from autoisp_worker.wire_lint import lint_message

FORMATS = ("onnx-fp32", "onnx-fp16", "onnx-int8", "executorch-xnnpack")
"""All that can be made: ``autoisp_isp.edge.FORMATS``, which would load OpenCV; a test holds them equal."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def conversion_job(message: commands_pb2.ConvertModelVersion) -> ConversionJob:
    """Decode a command.

    Raises:
        InvalidArgumentError: a name, a format, a number, the sensor or an artifact makes no sense.
    """
    names.MODEL_VERSION.parse(message.model_version, "model_version")
    unknown = sorted(set(message.formats) - set(FORMATS))
    if unknown:
        raise InvalidArgumentError(
            "formats", f"no format {unknown[0]!r}: choose from {', '.join(FORMATS)}, or give none for all"
        )
    if message.frames_per_clip < 0:
        raise InvalidArgumentError(
            "frames_per_clip", f"frames_per_clip must be 0 (all) or more, is {message.frames_per_clip}"
        )
    wanted = set(message.formats) or set(FORMATS)
    return ConversionJob(
        model_version=message.model_version,
        conversion_id=conversion_id(message),
        onnx=artifact_in(message.onnx, "onnx"),
        manifest=artifact_in(message.manifest, "manifest") if message.HasField("manifest") else None,
        sensor=sensor_in(message.sensor),
        seed=message.seed,
        frames_per_clip=message.frames_per_clip,
        formats=tuple(name for name in FORMATS if name in wanted),
    )


def conversion_id(message: commands_pb2.ConvertModelVersion) -> str:
    """The id of a request.

    Raises:
        InvalidArgumentError: it is none, and results could not be kept under it.
    """
    if not _ID.fullmatch(message.conversion_id):
        raise InvalidArgumentError(
            "conversion_id",
            f"conversion_id {message.conversion_id[:128]!r} is none: give 1 to 128 letters, digits, - and _",
        )
    return message.conversion_id


def converted(conversion: Conversion) -> bytes:
    """Encode ``model_version.converted``."""
    event = events_pb2.ModelVersionConverted(
        model_version=conversion.model_version, conversion_id=conversion.conversion_id
    )
    if conversion.failure is not None:
        event.failure.CopyFrom(failure_out(conversion.failure))
    else:
        event.formats.formats.extend(_format(one) for one in conversion.formats)
        event.formats.SetInParent()
    return event.SerializeToString(deterministic=True)


def _format(one: EdgeFormat) -> registry_pb2.EdgeFormat:
    return registry_pb2.EdgeFormat(
        format=one.format,
        artifact=artifact_out(one.artifact) if one.artifact else None,
        failure=failure_out(one.failure) if one.failure else None,
        quality=quality_out(one.quality) if one.quality else None,
        psnr_loss_db=one.psnr_loss_db,
        shadow_loss_db=one.shadow_loss_db,
        cost=cost_out(one.cost) if one.cost else None,
        note=one.note,
        lints=[lint_message(lint) for lint in one.lints],
    )
