"""Which version a device runs: a pure function of the channel, its rollout, and what the device says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from autoisp_core.artifact import Artifact
from autoisp_core.errors import AutoISPError, FailedPreconditionError, NotFoundError

from autoisp_registry.domain import ONNX_FP32
from autoisp_registry.rollouts.domain.buckets import end_of, place
from autoisp_registry.rollouts.domain.channel import Channel, Rollout, RolloutState
from autoisp_registry.rollouts.domain.constraints import Device

E = TypeVar("E")


@dataclass(frozen=True)
class Servable:
    """A version as devices get it.

    Attributes:
        formats: what it can be had in, with :data:`ONNX_FP32`.
        signed_manifest: None: not signed yet.
    """

    model: str
    number: int
    formats: Mapping[str, Artifact]
    signed_manifest: Artifact | None = None

    @property
    def name(self) -> str:
        """``models/{m}/versions/{v}``."""
        return f"{self.model}/versions/{self.number}"


@dataclass(frozen=True)
class Answer:
    """What a device is told.

    Attributes:
        rollout_id: empty: it is in no rollout.
    """

    version: Servable
    format: str
    rollout_id: str
    etag: str

    @property
    def artifact(self) -> Artifact:
        """The bytes to run."""
        return self.version.formats[self.format]


class Served(Generic[E]):
    """A channel made ready to answer from: everything that doesn't depend on the device is worked out.

    Args:
        channel: as it is now.
        versions: those of its versions that can be served, by number.
        encode: makes of an answer what goes out; called once per answer that there can be.
    """

    def __init__(
        self, channel: Channel, versions: Mapping[int, Servable], encode: Callable[[Answer], E]
    ) -> None:
        self.channel = channel
        self._constraints = None if channel.constraints.empty else channel.constraints
        self._rollout = _active(channel.rollout)
        self._stable = _choices(channel, channel.version, "", versions, encode)
        self._trial: Mapping[str, E] = {}
        if rollout := self._rollout:
            self._end = end_of(rollout.share)
            self._order = rollout.order
            self._testers = frozenset(rollout.testers)
            self._paused = rollout.state is RolloutState.PAUSED
            self._trial = _choices(channel, rollout.version, rollout.rollout_id, versions, encode)

    def answer(self, device: Device, formats: Sequence[str]) -> E:
        """What the device is told.

        Args:
            formats: that it can run, the best first; none means :data:`ONNX_FP32`.

        Raises:
            FailedPreconditionError: the channel is not for this device, or has none of its formats.
            NotFoundError: there is nothing for it yet, or it was deleted.
        """
        if self._constraints is not None and (problem := self._constraints.problem(device)):
            raise FailedPreconditionError(
                f"{self.channel.name} is not for this device: {problem}",
                reason="DEVICE_EXCLUDED",
                metadata={"resource": self.channel.name},
            )
        trial = self._rollout is not None and self.in_rollout(device)
        choices = self._trial if trial else self._stable
        for wanted in formats or (ONNX_FP32,):
            if (chosen := choices.get(wanted)) is not None:
                return chosen
        raise self._nothing(trial, choices, formats)

    def in_rollout(self, device: Device) -> bool:
        """Whether the device gets the rollout's version."""
        rollout = self._rollout
        if rollout is None or (self._paused and device.current_version != rollout.version):
            return False
        if not rollout.constraints.empty and rollout.constraints.problem(device):
            return False
        return device.device_id in self._testers or place(self._order, device.device_id) < self._end

    def _nothing(self, trial: bool, choices: Mapping[str, E], formats: Sequence[str]) -> AutoISPError:
        channel = self.channel
        number = self._rollout.version if trial and self._rollout else channel.version
        if not number:
            return NotFoundError(
                channel.name,
                f"{channel.name} serves no version yet; keep what the device runs and ask again later",
                reason="NO_VERSION",
            )
        version = f"{channel.model}/versions/{number}"
        if not choices:
            return NotFoundError(
                version,
                f"{version} of {channel.name} was deleted; restore it, or roll the channel back",
                reason="VERSION_DELETED",
            )
        has = ", ".join(sorted(choices))
        asked = ", ".join(formats or (ONNX_FP32,))
        return FailedPreconditionError(
            f"{version} has none of the formats {asked[:200]}; it has {has}",
            reason="NO_FORMAT",
            metadata={"resource": version, "field": "formats", "formats": has},
        )


def _active(rollout: Rollout | None) -> Rollout | None:
    return rollout if rollout and rollout.state in (RolloutState.ACTIVE, RolloutState.PAUSED) else None


def _choices(
    channel: Channel,
    number: int,
    rollout_id: str,
    versions: Mapping[int, Servable],
    encode: Callable[[Answer], E],
) -> dict[str, E]:
    version = versions.get(number)
    if version is None:
        return {}
    return {
        name: encode(Answer(version, name, rollout_id, _etag(channel, version, name)))
        for name in version.formats
    }


def _etag(channel: Channel, version: Servable, name: str) -> str:
    # Of all that an answer says: a new signature changes it though the channel is the same.
    manifest = version.signed_manifest.sha256 if version.signed_manifest else ""
    text = "\n".join((channel.etag, version.name, name, version.formats[name].sha256, manifest))
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
