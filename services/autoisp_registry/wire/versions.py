"""Versions, both ways."""

from __future__ import annotations

from dataclasses import replace

from autoisp.registry.v1 import registry_pb2
from autoisp_core import names
from autoisp_runtime.messages.artifacts import artifact_from, artifact_to
from autoisp_runtime.messages.results import failure_from, failure_to

from autoisp_registry.domain import Conversion, Evidence, ModelVersion
from autoisp_registry.wire.content import content_from, content_to
from autoisp_registry.wire.formats import STATE_NUMBERS, STATES, format_from, format_to
from autoisp_registry.wire.times import optional_time, time_from, time_to


def version_to(version: ModelVersion) -> registry_pb2.ModelVersion:
    """Write a version."""
    message = registered_to(version)
    message.MergeFrom(changeable_to(version))
    message.etag = version.etag
    message.aliases.extend(version.aliases)
    return message


def registered_to(version: ModelVersion) -> registry_pb2.ModelVersion:
    """Write what never changes of a version."""
    message = content_to(version.content)
    message.name = version.name
    message.create_time.CopyFrom(time_to(version.create_time))
    return message


def changeable_to(version: ModelVersion) -> registry_pb2.ModelVersion:
    """Write what may change of a version, but for its revision and what is kept of its model."""
    conversion = version.conversion
    return registry_pb2.ModelVersion(
        description=version.description,
        tags=version.tags,
        evidence=[_evidence_to(evidence) for evidence in version.evidence],
        formats=[format_to(form) for form in version.formats],
        conversion_state=STATE_NUMBERS[conversion.state],
        conversion_failure=failure_to(conversion.failure) if conversion.failure else None,
        signed_manifest=artifact_to(version.signed_manifest) if version.signed_manifest else None,
        delete_time=time_to(version.delete_time) if version.delete_time else None,
        purge_time=time_to(version.purge_time) if version.purge_time else None,
    )


def registered_from(message: registry_pb2.ModelVersion) -> ModelVersion:
    """Read back what :func:`registered_to` wrote."""
    model_id, number = names.MODEL_VERSION.parse(message.name)
    return ModelVersion(
        names.model_name(model_id),
        int(number),
        content_from(message, "model_version"),
        time_from(message.create_time),
    )


def changeable_from(message: registry_pb2.ModelVersion, version: ModelVersion) -> ModelVersion:
    """The version with what :func:`changeable_to` wrote."""
    failure = failure_from(message.conversion_failure) if message.HasField("conversion_failure") else None
    signed = message.HasField("signed_manifest")
    return replace(
        version,
        description=message.description,
        tags=dict(message.tags),
        evidence=tuple(_evidence_from(evidence) for evidence in message.evidence),
        formats=tuple(format_from(form, "formats") for form in message.formats),
        conversion=Conversion(STATES[message.conversion_state], failure),
        signed_manifest=artifact_from(message.signed_manifest, "signed_manifest") if signed else None,
        delete_time=optional_time(message, "delete_time"),
        purge_time=optional_time(message, "purge_time"),
    )


def version_from(message: registry_pb2.ModelVersion) -> ModelVersion:
    """Read back what :func:`version_to` wrote, but for its revision and what only the registry keeps."""
    version = changeable_from(message, registered_from(message))
    return replace(version, aliases=tuple(message.aliases))


def _evidence_to(evidence: Evidence) -> registry_pb2.Evidence:
    return registry_pb2.Evidence(
        evaluation=evidence.evaluation,
        label=evidence.label,
        record=artifact_to(evidence.record),
        create_time=time_to(evidence.create_time),
    )


def _evidence_from(message: registry_pb2.Evidence) -> Evidence:
    return Evidence(
        message.evaluation,
        message.label,
        artifact_from(message.record, "evidence.record"),
        time_from(message.create_time),
    )
