"""Buckets, constraints, counts and states of rollouts."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from autoisp_core.errors import AbortedError, FailedPreconditionError, InvalidArgumentError
from autoisp_registry.rollouts.domain.buckets import WHOLE, end_of, percent_of, place, share_from
from autoisp_registry.rollouts.domain.channel import MAX_HISTORY, Channel, Rollout, RolloutState
from autoisp_registry.rollouts.domain.constraints import (
    Constraints,
    Device,
    app_version_from,
    constraints_from,
)
from autoisp_registry.rollouts.domain.outcomes import (
    MAX_REASONS,
    OTHER,
    HaltRule,
    Outcomes,
    halt_rule_from,
    halts,
    report_key,
    report_keys,
    validate_reason,
)
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
SHARES = st.integers(0, WHOLE)
NAMES = st.text(min_size=1, max_size=20)


def rollout(state: RolloutState = RolloutState.ACTIVE, version: int = 2) -> Rollout:
    return Rollout("r1", version, 10_000, NOW, NOW, state=state, tally="t")


def channel(on: Rollout | None = None, version: int = 1) -> Channel:
    return Channel("products/p/channels/c", "models/m", version, NOW, NOW, "u", rollout=on)


# Buckets


@pytest.mark.parametrize(
    ("order", "device", "expected"),
    [
        ("spring", "device-1", 0xF0E12604BAB7B796),
        ("r01m8pwaz25at2h3sd4zj9a", "device-1", 0x73AA5B13EE33E7A5),
        ("spring", "Gerät-ü", 0x1CD3AB1F9042D8CB),
        ("a", "x" * 256, 0x16FC0052DE85BE10),
    ],
)
def test_places_never_change(order: str, device: str, expected: int) -> None:
    """Devices in the field follow from these; another hash would hand the version to other devices."""
    assert place(order, device) == expected


@given(order=NAMES, device=NAMES, shares=st.tuples(SHARES, SHARES))
def test_a_raised_share_keeps_who_was_in_it(order: str, device: str, shares: tuple[int, int]) -> None:
    less, more = sorted(shares)
    assert place(order, device) >= end_of(less) or place(order, device) < end_of(more)


@given(order=NAMES, device=NAMES, share=SHARES)
def test_a_share_ends_exactly(order: str, device: str, share: int) -> None:
    where = place(order, device)
    assert (where < end_of(share)) == (where * WHOLE < share << 64)


def test_nobody_and_everybody() -> None:
    assert end_of(0) == 0
    assert end_of(WHOLE) == 1 << 64


def test_the_asked_share_of_many_devices_is_reached() -> None:
    places = [place("spread", f"device-{number}") for number in range(50_000)]
    for share in (1_000, 10_000, 125_000, 500_000):
        reached = sum(where < end_of(share) for where in places) / len(places)
        # Five standard deviations of a fair draw.
        fair = share / WHOLE
        assert abs(reached - fair) < 5 * (fair * (1 - fair) / len(places)) ** 0.5


def test_orders_don_t_depend_on_each_other() -> None:
    devices = [f"device-{number}" for number in range(20_000)]
    half = end_of(WHOLE // 2)
    both = sum(place("a", device) < half and place("b", device) < half for device in devices)
    assert 0.23 < both / len(devices) < 0.27


@given(SHARES)
def test_every_step_of_a_percentage_can_be_said(share: int) -> None:
    assert share_from(percent_of(share), "percent") == share


@pytest.mark.parametrize("bad", [-0.0001, 100.0001, 0.00005, 33.33333, float("nan"), float("inf")])
def test_other_percentages_are_refused(bad: float) -> None:
    with pytest.raises(InvalidArgumentError, match="percent") as caught:
        share_from(bad, "rollout.percent")
    assert caught.value.field == "rollout.percent"


# Constraints


@given(st.lists(st.integers(0, 10**9 - 1), min_size=1, max_size=8), st.lists(st.just(0), max_size=2))
def test_app_versions_are_read_number_by_number(numbers: list[int], zeros: list[int]) -> None:
    text = ".".join(map(str, (numbers + zeros)[:8]))
    read = app_version_from(text, "app_version")
    assert read is not None
    padded = [*read, *[0] * 8][:8]
    assert padded == [*numbers, *[0] * 8][:8]


def test_app_versions_compare_as_numbers() -> None:
    ordered = ["0", "0.9", "1", "1.9", "1.9.1", "1.10", "2.0.0.1"]
    read = [app_version_from(text, "v") or () for text in ordered]
    assert read == sorted(read)
    assert app_version_from("1.10", "v") == app_version_from("1.10.0.0", "v")
    assert app_version_from("", "v") is None


@pytest.mark.parametrize(
    "bad", ["1.", ".1", "1..2", "v1", "1.2-beta", " 1", "1\n", "١", "1.2.3.4.5.6.7.8.9", "1234567890", "-1"]
)
def test_nonsense_is_no_app_version(bad: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        app_version_from(bad, "app_version")
    assert caught.value.field == "app_version"


@pytest.mark.parametrize(
    ("constraints", "device", "let_through"),
    [
        (Constraints(), Device("d"), True),
        (Constraints(("a", "b")), Device("d", "b"), True),
        (Constraints(("a", "b")), Device("d", "c"), False),
        (Constraints(("a",)), Device("d"), False),
        (Constraints((), "1.9", "1.10"), Device("d", "", (1, 9)), True),
        (Constraints((), "1.9", "1.10"), Device("d", "", (1, 10)), True),
        (Constraints((), "1.9", "1.10"), Device("d", "", (1, 10, 1)), False),
        (Constraints((), "1.9", ""), Device("d", "", (1, 8, 9)), False),
        (Constraints((), "1.9", ""), Device("d", "", (20,)), True),
        (Constraints((), "", "2"), Device("d"), False),
        (Constraints((), "0", ""), Device("d"), False),
    ],
)
def test_who_is_let_through(constraints: Constraints, device: Device, let_through: bool) -> None:
    assert (constraints.problem(device) == "") == let_through


@pytest.mark.parametrize(
    ("profiles", "least", "most", "field"),
    [
        (("Phone",), "", "", "c.device_profiles"),
        (("",), "", "", "c.device_profiles"),
        (("a/../b",), "", "", "c.device_profiles"),
        (tuple(f"p{number}" for number in range(101)), "", "", "c.device_profiles"),
        ((), "x", "", "c.min_app_version"),
        ((), "", "1..2", "c.max_app_version"),
        ((), "1.10", "1.9", "c.max_app_version"),
    ],
)
def test_bad_constraints_name_the_field(profiles: tuple[str, ...], least: str, most: str, field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        constraints_from(profiles, least, most, "c")
    assert caught.value.field == field


# Outcomes

REPORTS = st.lists(
    st.tuples(st.integers(0, 8), st.one_of(st.none(), st.sampled_from(["", "A", "B", "C"]))), max_size=60
)


@given(REPORTS)
def test_each_device_is_counted_once_and_a_failure_outweighs(reports: list[tuple[int, str | None]]) -> None:
    outcomes, known = Outcomes(), dict[int, bool]()
    for device, reason in reports:
        after = outcomes.counted(known.get(device), reason)
        if after is not outcomes:
            known[device] = reason is not None
        outcomes = after
    failing = {device for device, reason in reports if reason is not None}
    assert outcomes.failed == len(failing) == sum(outcomes.reasons.values())
    assert outcomes.succeeded == len({device for device, _ in reports} - failing)


def test_a_failure_without_a_reason_is_of_another_one() -> None:
    assert Outcomes().counted(None, "").reasons == {OTHER: 1}


def test_reasons_beyond_twenty_are_others() -> None:
    outcomes = Outcomes().counted(None, "")  # OTHER takes nobody's place
    for number in range(MAX_REASONS + 5):
        outcomes = outcomes.counted(None, f"R{number}")
    outcomes = outcomes.counted(None, "R3")
    assert len(outcomes.reasons) == MAX_REASONS + 1
    assert outcomes.reasons[OTHER] == 6
    assert outcomes.reasons["R3"] == 2
    assert outcomes.failed == MAX_REASONS + 7


RULE = HaltRule(max_failure_rate=0.1, min_devices=10)


def counts(succeeded: int, failed: int) -> Outcomes:
    return Outcomes(succeeded, failed, {"A": failed} if failed else {})


@pytest.mark.parametrize(
    ("before", "after", "halted"),
    [
        (counts(8, 0), counts(8, 1), False),  # too few devices
        (counts(7, 2), counts(8, 2), True),  # a success makes them enough
        (counts(9, 0), counts(9, 1), False),  # 10 % is the limit, not over it
        (counts(9, 1), counts(9, 2), True),
        (counts(18, 2), counts(17, 3), True),  # a success that turned into a failure
        (counts(8, 3), counts(9, 3), False),  # resumed with its counts: a success changes nothing
        (counts(9, 3), counts(9, 4), True),  # ... the next failure does
    ],
)
def test_when_a_rollout_halts(before: Outcomes, after: Outcomes, halted: bool) -> None:
    assert halts(RULE, before, after) == halted
    assert not halts(replace(RULE, disabled=True), before, after)
    assert not halts(RULE, after, after)


@pytest.mark.parametrize("percent", range(1, 100))
def test_a_rate_that_is_just_reached_is_not_passed(percent: int) -> None:
    rule = HaltRule(percent / 100, 100)
    before, after = counts(100 - percent, percent - 1), counts(100 - percent, percent)
    assert not halts(rule, before, after)
    assert halts(rule, after, counts(100 - percent - 1, percent + 1))
    million = counts(1_000_000 - 10_000 * percent, 10_000 * percent)
    assert not halts(rule, counts(million.succeeded + 1, million.failed - 1), million)
    assert halts(rule, million, counts(million.succeeded - 1, million.failed + 1))


def test_keys_of_reports_tell_nothing_of_other_tallies() -> None:
    assert report_key("t1", "d") == report_key("t1", "d")
    keys = [report_key(tally, device) for tally in ("t1", "t2") for device in ("d", "e")]
    assert len({key[8:] for key in keys}) == 4
    assert [len(key) for key in keys] == [24] * 4
    # Not the hash that orders devices: who has the counts can't tell which share a device was in.
    assert report_key("t1", "d")[8:16] != place("t1", "d").to_bytes(8)


@given(NAMES, NAMES)
def test_a_tally_s_keys_are_in_its_range(tally: str, device: str) -> None:
    first, last = report_keys(tally)
    assert first <= report_key(tally, device) <= last
    other_first, other_last = report_keys(tally + "x")
    assert last < other_first or other_last < first


@pytest.mark.parametrize(
    ("rate", "devices", "field"),
    [
        (-0.1, 0, "h.max_failure_rate"),
        (1.01, 0, "h.max_failure_rate"),
        (float("nan"), 0, "h.max_failure_rate"),
        (0.5, -1, "h.min_devices"),
        (0.5, 1 << 40, "h.min_devices"),
    ],
)
def test_bad_halt_rules_name_the_field(rate: float, devices: int, field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        halt_rule_from(rate, devices, False, "h")
    assert caught.value.field == field


def test_zeros_of_a_halt_rule_are_the_defaults() -> None:
    assert halt_rule_from(0, 0, False, "h") == HaltRule(0.01, 100)
    assert halt_rule_from(1, 1, True, "h") == HaltRule(1, 1, True)


@pytest.mark.parametrize(
    ("reason", "failed"), [("LOAD_FAILED", False), ("load", True), ("A B", True), ("A" * 64, True)]
)
def test_bad_reasons_are_refused(reason: str, failed: bool) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        validate_reason(reason, failed)
    assert caught.value.field == "reason"


# States

ACTIVE, PAUSED, HALTED = RolloutState.ACTIVE, RolloutState.PAUSED, RolloutState.HALTED
POSSIBLE = {
    None: {"start"},
    ACTIVE: {"update", "pause", "complete", "abort", "halt"},
    PAUSED: {"update", "resume", "complete", "abort", "halt"},
    HALTED: {"update", "resume", "abort"},
}
ACTIONS = ("start", "update", "pause", "resume", "complete", "abort", "halt")


@pytest.mark.parametrize(("state", "action"), list(itertools.product(POSSIBLE, ACTIONS)))
def test_what_is_possible_when(state: RolloutState | None, action: str) -> None:
    there = channel(rollout(state) if state else None)
    if action in POSSIBLE[state]:
        there.require(action)
        return
    with pytest.raises(FailedPreconditionError) as caught:
        there.require(action)
    assert set(caught.value.metadata["possible"].split(", ")) == POSSIBLE[state] - {"halt"}
    assert caught.value.metadata["possible"] in str(caught.value)


def test_a_completed_rollout_is_for_everybody_and_its_channel_remembers() -> None:
    done = channel(rollout()).completed(LATER, "good")
    assert (done.version, done.rollout, done.history) == (2, None, (1,))
    assert done.last_rollout is not None
    assert (done.last_rollout.state, done.last_rollout.state_reason) == (RolloutState.COMPLETED, "good")
    assert channel(rollout(), version=0).completed(LATER, "").history == ()


def test_an_aborted_rollout_changes_no_version() -> None:
    done = channel(rollout(HALTED)).aborted(LATER, "")
    assert (done.version, done.rollout, done.history) == (1, None, ())
    assert done.last_rollout is not None
    assert done.last_rollout.state is RolloutState.ABORTED


def test_versions_are_taken_back_one_by_one() -> None:
    there = channel()
    for number in (2, 3):
        there = there.started(NOW, rollout(version=number)).completed(NOW, "")
    there = there.started(NOW, rollout(version=4))
    back = there.rolled_back(LATER, there.history, "")
    assert (back.version, back.rollout, back.history) == (2, None, (1,))
    assert back.last_rollout is not None
    assert back.last_rollout.state is RolloutState.ABORTED
    back = back.rolled_back(LATER, back.history, "")
    assert (back.version, back.history) == (1, ())
    with pytest.raises(FailedPreconditionError) as caught:
        back.rolled_back(LATER, (), "")
    assert caught.value.reason == "NO_EARLIER_VERSION"


def test_deleted_versions_are_left_out_of_a_rollback() -> None:
    there = replace(channel(version=9), history=(1, 5, 7))
    assert there.rolled_back(LATER, {1, 5}, "").version == 5


def test_the_history_is_bounded() -> None:
    there = channel()
    for number in range(2, MAX_HISTORY + 10):
        there = there.started(NOW, rollout(version=number)).completed(NOW, "")
    assert there.history == tuple(range(9, MAX_HISTORY + 9))


def test_the_version_that_everybody_has_is_not_rolled_out() -> None:
    with pytest.raises(FailedPreconditionError) as caught:
        channel().started(NOW, rollout(version=1))
    assert caught.value.reason == "SAME_VERSION"


def test_every_change_has_an_etag_of_its_own() -> None:
    seen = [channel()]
    seen.append(seen[-1].started(NOW, rollout()))
    seen.append(seen[-1].entered(NOW, "pause", PAUSED, ""))
    seen.append(seen[-1].entered(NOW, "resume", ACTIVE, ""))
    seen.append(seen[-1].completed(NOW, ""))
    seen.append(seen[-1].rolled_back(NOW, (1,), ""))
    assert len({one.etag for one in seen}) == len(seen)
    seen[-1].require_etag("")
    seen[-1].require_etag(seen[-1].etag)
    with pytest.raises(AbortedError):
        seen[-1].require_etag(seen[0].etag)
    assert replace(seen[0], uid="another").etag != seen[0].etag
