"""Between the rollouts' domain and the protobuf messages, both ways; requests are checked in reading."""

from __future__ import annotations

from autoisp.events.v1 import events_pb2
from autoisp.registry.v1 import rollouts_pb2

from autoisp_registry.audit import AuditEntry
from autoisp_registry.audit.wire import entry_to
from autoisp_registry.rollouts.domain.buckets import percent_of, share_from
from autoisp_registry.rollouts.domain.channel import Channel, Rollout, RolloutState
from autoisp_registry.rollouts.domain.constraints import Constraints, constraints_from
from autoisp_registry.rollouts.domain.outcomes import HaltRule, Outcomes, halt_rule_from
from autoisp_registry.rollouts.domain.resolving import Answer
from autoisp_registry.rollouts.usecases import Changes, NewChannel, NewRollout
from autoisp_registry.rollouts.validation import testers_from, validate_cohort
from autoisp_registry.wire import artifact_to
from autoisp_registry.wire.times import time_from, time_to


def new_channel_from(message: rollouts_pb2.Channel) -> NewChannel:
    """Read what a channel is created with.

    Raises:
        InvalidArgumentError: naming the part that is wrong.
    """
    constraints = _checked_constraints(message.constraints, "channel.constraints")
    return NewChannel(message.model, message.version, constraints, message.description)


def new_rollout_from(message: rollouts_pb2.Rollout) -> NewRollout:
    """Read what a rollout is started with.

    Raises:
        InvalidArgumentError: naming the part that is wrong.
    """
    validate_cohort(message.cohort, "rollout.cohort")
    return NewRollout(
        message.version,
        share_from(message.percent, "rollout.percent"),
        message.cohort,
        testers_from(message.testers, "rollout.testers"),
        _checked_constraints(message.constraints, "rollout.constraints"),
        _checked_rule(message.halt_rule, "rollout.halt_rule"),
    )


def changes_from(message: rollouts_pb2.UpdateRolloutRequest) -> Changes:
    """Read what is to change of a rollout.

    Raises:
        InvalidArgumentError: naming the part that is wrong.
    """
    return Changes(
        share_from(message.percent, "percent") if message.HasField("percent") else None,
        _checked_rule(message.halt_rule, "halt_rule") if message.HasField("halt_rule") else None,
        testers_from(message.testers, "testers") if message.testers else None,
    )


def channel_to(channel: Channel) -> rollouts_pb2.Channel:
    """Write a channel."""
    return rollouts_pb2.Channel(
        name=channel.name,
        model=channel.model,
        version=channel.version,
        constraints=_constraints_to(channel.constraints),
        rollout=_rollout_to(channel.rollout) if channel.rollout else None,
        last_rollout=_rollout_to(channel.last_rollout) if channel.last_rollout else None,
        create_time=time_to(channel.create_time),
        update_time=time_to(channel.update_time),
        etag=channel.etag,
        description=channel.description,
    )


def channel_from(
    message: rollouts_pb2.Channel, uid: str, revision: int, history: tuple[int, ...], tally: str
) -> Channel:
    """Read back what :func:`channel_to` wrote; for the database."""
    return Channel(
        name=message.name,
        model=message.model,
        version=message.version,
        create_time=time_from(message.create_time),
        update_time=time_from(message.update_time),
        uid=uid,
        constraints=_constraints_from(message.constraints),
        description=message.description,
        rollout=_rollout_from(message.rollout, tally) if message.HasField("rollout") else None,
        last_rollout=_rollout_from(message.last_rollout, "") if message.HasField("last_rollout") else None,
        history=history,
        revision=revision,
    )


def answer_to(answer: Answer) -> rollouts_pb2.BatchResolveModelsResponse.Result:
    """Write what a device is told, as it stands among the answers of a batch."""
    version = answer.version
    response = rollouts_pb2.ResolveModelResponse(
        model_version=version.name,
        format=answer.format,
        artifact=artifact_to(answer.artifact),
        signed_manifest=artifact_to(version.signed_manifest) if version.signed_manifest else None,
        rollout_id=answer.rollout_id,
        etag=answer.etag,
    )
    return rollouts_pb2.BatchResolveModelsResponse.Result(response=response)


def changed_to(entry: AuditEntry, channel: Channel | None) -> events_pb2.ChannelChanged:
    """Write the event of a change."""
    return events_pb2.ChannelChanged(entry=entry_to(entry), channel=channel_to(channel) if channel else None)


def _rollout_to(rollout: Rollout) -> rollouts_pb2.Rollout:
    outcomes = rollout.outcomes
    return rollouts_pb2.Rollout(
        rollout_id=rollout.rollout_id,
        version=rollout.version,
        percent=percent_of(rollout.share),
        cohort=rollout.cohort,
        testers=rollout.testers,
        constraints=_constraints_to(rollout.constraints),
        halt_rule=rollouts_pb2.HaltRule(
            max_failure_rate=rollout.halt_rule.max_failure_rate,
            min_devices=rollout.halt_rule.min_devices,
            disabled=rollout.halt_rule.disabled,
        ),
        state=rollouts_pb2.RolloutState.Value(f"ROLLOUT_STATE_{rollout.state}"),
        outcomes=rollouts_pb2.Outcomes(
            succeeded=outcomes.succeeded, failed=outcomes.failed, failure_reasons=outcomes.reasons
        ),
        state_reason=rollout.state_reason,
        create_time=time_to(rollout.create_time),
        update_time=time_to(rollout.update_time),
    )


def _rollout_from(message: rollouts_pb2.Rollout, tally: str) -> Rollout:
    rule, outcomes = message.halt_rule, message.outcomes
    state = rollouts_pb2.RolloutState.Name(message.state).removeprefix("ROLLOUT_STATE_")
    return Rollout(
        rollout_id=message.rollout_id,
        version=message.version,
        share=share_from(message.percent, "percent"),
        create_time=time_from(message.create_time),
        update_time=time_from(message.update_time),
        cohort=message.cohort,
        testers=tuple(message.testers),
        constraints=_constraints_from(message.constraints),
        halt_rule=HaltRule(rule.max_failure_rate, rule.min_devices, rule.disabled),
        state=RolloutState(state),
        outcomes=Outcomes(outcomes.succeeded, outcomes.failed, dict(outcomes.failure_reasons)),
        state_reason=message.state_reason,
        tally=tally,
    )


def _checked_constraints(message: rollouts_pb2.Constraints, field: str) -> Constraints:
    return constraints_from(
        tuple(message.device_profiles), message.min_app_version, message.max_app_version, field
    )


def _checked_rule(message: rollouts_pb2.HaltRule, field: str) -> HaltRule:
    return halt_rule_from(message.max_failure_rate, message.min_devices, message.disabled, field)


def _constraints_to(constraints: Constraints) -> rollouts_pb2.Constraints | None:
    if constraints.empty:
        return None
    return rollouts_pb2.Constraints(
        device_profiles=constraints.device_profiles,
        min_app_version=constraints.min_app_version,
        max_app_version=constraints.max_app_version,
    )


def _constraints_from(message: rollouts_pb2.Constraints) -> Constraints:
    return Constraints(tuple(message.device_profiles), message.min_app_version, message.max_app_version)
