"""A channel and its rollout, and what may be done with them when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from autoisp_core.errors import FailedPreconditionError

from autoisp_registry.domain.etags import require_etag
from autoisp_registry.rollouts.domain.buckets import end_of, place
from autoisp_registry.rollouts.domain.constraints import Constraints
from autoisp_registry.rollouts.domain.outcomes import HaltRule, Outcomes

MAX_HISTORY = 100


class RolloutState(StrEnum):
    """Where a rollout is; the last two are its end."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    HALTED = "HALTED"
    COMPLETED = "COMPLETED"
    ABORTED = "ABORTED"


_A, _P, _H = RolloutState.ACTIVE, RolloutState.PAUSED, RolloutState.HALTED

# What may be done in which states; None: no rollout is on.
_POSSIBLE: dict[str, frozenset[RolloutState | None]] = {
    "start": frozenset({None}),
    "update": frozenset({_A, _P, _H}),
    "pause": frozenset({_A}),
    "resume": frozenset({_P, _H}),
    # A halted one is resumed first: what failed doesn't go to everybody by one call.
    "complete": frozenset({_A, _P}),
    "abort": frozenset({_A, _P, _H}),
    "halt": frozenset({_A, _P}),
}


@dataclass(frozen=True)
class Rollout:
    """A version on its way to everybody.

    Attributes:
        version: the version's number.
        share: of the devices, in millionths.
        cohort: the name of the order that it takes devices from; empty: its own.
        testers: devices that get it whatever the share is.
        constraints: beside the channel's.
        state_reason: why it is paused, halted or ended.
        tally: names the reports that ``outcomes`` counts, a new one begins at nothing; empty at the end.
    """

    rollout_id: str
    version: int
    share: int
    create_time: datetime
    update_time: datetime
    cohort: str = ""
    testers: tuple[str, ...] = ()
    constraints: Constraints = field(default_factory=Constraints)
    halt_rule: HaltRule = field(default_factory=HaltRule)
    state: RolloutState = RolloutState.ACTIVE
    outcomes: Outcomes = field(default_factory=Outcomes)
    state_reason: str = ""
    tally: str = ""

    @property
    def order(self) -> str:
        """The name of the order of devices, see :func:`buckets.place`."""
        return self.cohort or self.rollout_id

    def reaches(self, device_id: str) -> bool:
        """Whether the device is in the share or a tester; what else binds it, a report does not say."""
        return place(self.order, device_id) < end_of(self.share) or device_id in self.testers


@dataclass(frozen=True)
class Channel:
    """What devices of a product follow.

    Attributes:
        name: ``products/{p}/channels/{c}``.
        version: number of the version that everybody gets; 0: none yet.
        rollout: the one that is on.
        last_rollout: the one before.
        history: versions that it served before, the newest last; at most :data:`MAX_HISTORY`.
        uid: told apart from an earlier channel of the same name.
        revision: grows with every change but counts.
    """

    name: str
    model: str
    version: int
    create_time: datetime
    update_time: datetime
    uid: str
    constraints: Constraints = field(default_factory=Constraints)
    description: str = ""
    rollout: Rollout | None = None
    last_rollout: Rollout | None = None
    history: tuple[int, ...] = ()
    revision: int = 1

    @property
    def etag(self) -> str:
        """Changes with every change of the channel; counted outcomes are none."""
        return f'"{self.uid}-{self.revision}"'

    def require_etag(self, etag: str) -> None:
        """Check that the caller saw the channel as it is; an empty etag is not checked.

        Raises:
            AbortedError: it changed since.
        """
        require_etag(self.name, self.etag, etag)

    def require(self, action: str) -> None:
        """Check that ``action`` (such as ``pause``) is possible now.

        Raises:
            FailedPreconditionError: it is not; the message says what is.
        """
        state = self.rollout.state if self.rollout else None
        if state in _POSSIBLE[action]:
            return
        possible = ", ".join(sorted(a for a, s in _POSSIBLE.items() if state in s and a != "halt"))
        now = f"its rollout {self.rollout.rollout_id} is {state}" if self.rollout else "no rollout is on"
        raise FailedPreconditionError(
            f"{self.name} can't {action} a rollout: {now}; possible: {possible}",
            reason="WRONG_STATE",
            metadata={"resource": self.name, "state": state or "NONE", "possible": possible},
        )

    def current(self, action: str) -> Rollout:
        """The rollout that is on, if ``action`` is possible with it.

        Raises:
            FailedPreconditionError: it is not.
        """
        self.require(action)
        assert self.rollout is not None, "only 'start' is possible without one"
        return self.rollout

    def changed(self, now: datetime, rollout: Rollout) -> Channel:
        """With its rollout changed."""
        return replace(
            self,
            rollout=replace(rollout, update_time=now),
            update_time=now,
            revision=self.revision + 1,
        )

    def started(self, now: datetime, rollout: Rollout) -> Channel:
        """With a rollout on.

        Raises:
            FailedPreconditionError: one is on already, or everybody gets its version as it is.
        """
        self.require("start")
        if rollout.version == self.version:
            raise FailedPreconditionError(
                f"{self.name} serves version {self.version} to everybody already; roll out another one",
                reason="SAME_VERSION",
                metadata={"resource": self.name, "field": "rollout.version"},
            )
        return self.changed(now, rollout)

    def entered(self, now: datetime, action: str, state: RolloutState, why: str) -> Channel:
        """With its rollout in another state that is no end.

        Raises:
            FailedPreconditionError: ``action`` is not possible.
        """
        return self.changed(now, replace(self.current(action), state=state, state_reason=why))

    def completed(self, now: datetime, why: str) -> Channel:
        """With the rollout's version for everybody.

        Raises:
            FailedPreconditionError: it can't be completed.
        """
        version = self.current("complete").version
        ended = self._ended(now, RolloutState.COMPLETED, why)
        history = (*self.history, self.version) if self.version else self.history
        return replace(ended, version=version, history=history[-MAX_HISTORY:])

    def aborted(self, now: datetime, why: str) -> Channel:
        """With its rollout gone.

        Raises:
            FailedPreconditionError: none is on.
        """
        self.current("abort")
        return self._ended(now, RolloutState.ABORTED, why)

    def rolled_back(self, now: datetime, living: Iterable[int], why: str) -> Channel:
        """With the version before for everybody, and no rollout.

        Args:
            living: those of its history that can still be served; the others are left out.

        Raises:
            FailedPreconditionError: there is none to go back to.
        """
        kept = frozenset(living)
        history = [number for number in self.history if number in kept]
        if not history:
            raise FailedPreconditionError(
                f"{self.name} served no version before {self.version or 'the first one'} that still exists; "
                "start a rollout of the version that devices are to have",
                reason="NO_EARLIER_VERSION",
                metadata={"resource": self.name},
            )
        ended = self._ended(now, RolloutState.ABORTED, why)
        return replace(ended, version=history[-1], history=tuple(history[:-1]))

    def _ended(self, now: datetime, state: RolloutState, why: str) -> Channel:
        last = (
            replace(self.rollout, state=state, state_reason=why, update_time=now, tally="")
            if self.rollout
            else self.last_rollout
        )
        return replace(self, rollout=None, last_rollout=last, update_time=now, revision=self.revision + 1)
