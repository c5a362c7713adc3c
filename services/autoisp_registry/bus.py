"""Events of the registry, in and out."""

from __future__ import annotations

import structlog
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.events.v1 import commands_pb2, events_pb2
from autoisp_core import ids, names
from autoisp_core.artifact import Artifact
from autoisp_core.errors import AutoISPError, InvalidArgumentError
from autoisp_runtime.async_artifacts import AsyncArtifactStore
from autoisp_runtime.jetstream import Command, Envelope, Event, command_subject, event_subject
from autoisp_runtime.messages.results import failure_from
from autoisp_runtime.outbox import OutgoingMessage

from autoisp_registry import wire
from autoisp_registry.audit.wire import entry_to
from autoisp_registry.domain import EdgeFormat, Failure, ModelVersion
from autoisp_registry.evaluated import evaluated_network, judged_versions
from autoisp_registry.ports import (
    Artifacts,
    ConvertVersion,
    Message,
    ModelChanged,
    VersionPromoted,
    VersionRegistered,
)
from autoisp_registry.usecases import Conversions, Judgements, Registering

_log = structlog.get_logger(__name__)


def encode(message: Message) -> OutgoingMessage:
    """The message as it goes out; its id follows from its content, so that repeating it changes nothing."""
    match message:
        case VersionRegistered(version=version):
            return OutgoingMessage(
                event_subject(
                    Event.MODEL_VERSION_REGISTERED, f"{names.id_of(version.model)}-{version.number}"
                ),
                events_pb2.ModelVersionRegistered(model_version=version.name).SerializeToString(),
                ids.derived_id(Event.MODEL_VERSION_REGISTERED.value, version.name),
            )
        case VersionPromoted(model=model, number=number, alias=alias, revision=revision):
            name = names.model_version_name(names.id_of(model), str(number))
            return OutgoingMessage(
                event_subject(Event.MODEL_VERSION_PROMOTED, f"{names.id_of(model)}-{number}"),
                events_pb2.ModelVersionPromoted(model_version=name, alias=alias).SerializeToString(),
                # An alias may come back to a version: that is another event.
                ids.derived_id(Event.MODEL_VERSION_PROMOTED.value, name, alias, str(revision)),
            )
        case ModelChanged(entry=entry, model=model):
            return OutgoingMessage(
                event_subject(Event.MODEL_CHANGED, names.id_of(model.name)),
                events_pb2.ModelChanged(
                    entry=entry_to(entry), model=wire.model_to(model)
                ).SerializeToString(),
                ids.derived_id(Event.MODEL_CHANGED.value, str(entry.sequence), entry.sha256),
            )
        case ConvertVersion(version=version, manifest=manifest, formats=formats):
            content, conversion = version.content, version.conversion
            command = commands_pb2.ConvertModelVersion(
                model_version=version.name,
                conversion_id=conversion.conversion_id,
                onnx=wire.artifact_to(content.onnx),
                manifest=wire.artifact_to(manifest) if manifest else None,
                sensor=wire.sensor_to(content.sensor) if content.sensor else None,
                seed=conversion.seed,
                frames_per_clip=conversion.frames_per_clip,
                formats=formats,
            )
            subject = f"{names.id_of(version.model)}-{version.number}-{conversion.attempt}"
            return OutgoingMessage(
                command_subject(Command.MODEL_VERSION_CONVERT, subject),
                command.SerializeToString(),
                conversion.conversion_id,
            )


class RegistryBus:
    """Handlers of the events that the registry listens to."""

    def __init__(
        self,
        registering: Registering,
        judgements: Judgements,
        conversions: Conversions,
        artifacts: Artifacts,
    ) -> None:
        self._registering = registering
        self._judgements = judgements
        self._conversions = conversions
        self._artifacts = artifacts

    async def on_evaluation_completed(self, envelope: Envelope) -> None:
        """Register the network that was judged, if it is to be registered, and keep evidence of versions."""
        event = envelope.decode(events_pb2.EvaluationCompleted)
        judged = judged_versions(event.evaluation)
        if event.evaluation.state == evaluation_pb2.EVALUATION_STATE_SUCCEEDED and (judged or event.model):
            record = await self._record(event)
            for one in judged:
                await self._judgements.add(one, event.evaluation.name, record)
            network = evaluated_network(event, record)
            if network is not None:
                await self._registering.register_evaluated(network)
                return
        _log.info("nothing to register", evaluation=event.evaluation.name, judged=len(judged))

    async def on_version_converted(self, envelope: Envelope) -> None:
        """Take in a version's formats."""
        event = envelope.decode(events_pb2.ModelVersionConverted)
        made: list[EdgeFormat] | Failure
        if event.WhichOneof("outcome") == "formats":
            made = [wire.format_from(form, "formats") for form in event.formats.formats]
        else:
            made = failure_from(event.failure)
        await self._conversions.converted(event.model_version, event.conversion_id, made)

    async def on_unusable_conversion(self, envelope: Envelope, error: AutoISPError) -> None:
        """Formats that can't be taken in count as a failure, else the version would wait for ever."""
        if error.reason == "UNDECODABLE":
            return
        event = envelope.decode(events_pb2.ModelVersionConverted)
        failure = Failure(error.reason, error.message)
        try:
            await self._conversions.converted(event.model_version, event.conversion_id, failure)
        except InvalidArgumentError:
            return  # of no version at all

    async def _record(self, event: events_pb2.EvaluationCompleted) -> Artifact:
        if event.HasField("record"):
            return wire.artifact_from(event.record, "record")
        # Of an earlier release: better without frames than not at all.
        data = event.evaluation.SerializeToString(deterministic=True)
        return await self._artifacts.put_bytes(data, "application/x-protobuf")


class StoredVersions:
    """Versions as keyed results in the artifact store: ``models/{m}/versions/{n}``.

    Args:
        artifacts: the store.
    """

    def __init__(self, artifacts: AsyncArtifactStore) -> None:
        self._artifacts = artifacts

    async def publish(self, version: ModelVersion) -> None:
        """See :class:`autoisp_registry.ports.Publisher`."""
        data = wire.registered_to(version).SerializeToString(deterministic=True)
        await self._artifacts.put_result(version.name, data, overwrite=True)

    async def published(self, name: str) -> bool:
        """See :class:`autoisp_registry.ports.Publisher`."""
        return await self._artifacts.get_result(name) is not None

    async def withdraw(self, name: str) -> None:
        """See :class:`autoisp_registry.ports.Publisher`."""
        await self._artifacts.delete_result(name)
