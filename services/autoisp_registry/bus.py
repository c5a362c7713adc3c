"""Events of the registry, in and out."""

from __future__ import annotations

import structlog
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.events.v1 import commands_pb2, events_pb2
from autoisp_core import ids, names
from autoisp_runtime.async_artifacts import AsyncArtifactStore
from autoisp_runtime.jetstream import Command, Envelope, Event, command_subject, event_subject
from autoisp_runtime.outbox import OutgoingMessage

from autoisp_registry import gate, wire
from autoisp_registry.audit.wire import entry_to
from autoisp_registry.domain import GateResult, Lineage, ModelVersion
from autoisp_registry.ports import ConvertVersion, Message, ModelChanged, VersionPromoted, VersionRegistered
from autoisp_registry.usecases import EvaluatedNetwork, Models

_log = structlog.get_logger(__name__)

_MODEL, _PROTOTYPE = "model", "prototype"  # labels of the subjects in a search's evaluation


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


def evaluated_network(event: events_pb2.EvaluationCompleted) -> EvaluatedNetwork | None:
    """Read an ``evaluation.completed``; None if it brings nothing to register.

    Raises:
        InvalidArgumentError: it lacks something that a registration needs.
    """
    evaluation = event.evaluation
    if evaluation.state != evaluation_pb2.EVALUATION_STATE_SUCCEEDED or not event.model:
        return None
    totals = {total.label: _measured(total) for total in evaluation.totals}
    subjects = {subject.label: subject for subject in evaluation.subjects}
    if _MODEL not in totals or _MODEL not in subjects:
        return None
    names.MODEL.parse(event.model, "model")
    prototype = subjects[_PROTOTYPE].prototype if _PROTOTYPE in subjects else None
    return EvaluatedNetwork(
        model=event.model,
        onnx=wire.artifact_from(subjects[_MODEL].onnx, "evaluation.subjects.onnx"),
        spec=event.spec,
        lineage=Lineage(
            evaluation.dataset,
            evaluation.search,
            evaluation.trial,
            evaluation.name,
            wire.prototype_from(prototype, "evaluation.subjects.prototype") if prototype else None,
        ),
        measured=totals[_MODEL],
        prototype=totals.get(_PROTOTYPE),
        clips=gate.Clips(
            sum(clip.state == evaluation_pb2.EVALUATION_STATE_SUCCEEDED for clip in evaluation.clips),
            len(evaluation.clips),
        ),
        limits=gate.Limits(
            event.macs_per_pixel_limit if event.HasField("macs_per_pixel_limit") else None,
            event.latency_ratio_goal if event.HasField("latency_ratio_goal") else None,
        ),
        own_gate=_gate_result(evaluation),
    )


class RegistryBus:
    """Handlers of the events that the registry listens to."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def on_evaluation_completed(self, envelope: Envelope) -> None:
        """Register the network that was judged, if it is to be registered."""
        event = envelope.decode(events_pb2.EvaluationCompleted)
        network = evaluated_network(event)
        if network is None:
            _log.info("nothing to register", evaluation=event.evaluation.name)
            return
        await self._models.register_evaluated(network)


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


def _gate_result(evaluation: evaluation_pb2.Evaluation) -> GateResult | None:
    if evaluation.HasField("gate_report"):
        report = evaluation.gate_report
        return GateResult(report.passed, tuple(check.text for check in report.checks))
    # A gate that said nothing let nothing through.
    return GateResult(False, ("gate: failed, it was not checked",)) if evaluation.gate else None


def _measured(result: evaluation_pb2.SubjectResult) -> gate.Measured:
    cost = result.cost
    return gate.Measured(
        psnr_db=result.quality.psnr_db,
        ssim=result.quality.ssim,
        macs_per_pixel=cost.macs_per_pixel if cost.HasField("macs_per_pixel") else None,
        parameters=cost.parameters,
        size_bytes=cost.size_bytes,
        seconds_per_megapixel=cost.seconds_per_megapixel,
    )
