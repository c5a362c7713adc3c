"""What devices are told, and the memory that tells them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from autoisp_core.artifact import Artifact
from autoisp_core.errors import (
    AutoISPError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)
from autoisp_registry.rollouts.domain.buckets import end_of, place
from autoisp_registry.rollouts.domain.channel import Channel, Rollout, RolloutState
from autoisp_registry.rollouts.domain.constraints import Constraints, Device
from autoisp_registry.rollouts.domain.resolving import Answer, Servable, Served
from autoisp_registry.rollouts.ports import VersionKey
from autoisp_registry.rollouts.usecases import Board
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
NAME = "products/p/channels/c"
DEVICES = [f"device-{number}" for number in range(400)]


def artifact(digit: str) -> Artifact:
    return Artifact(f"blobs/{digit * 2}/{digit * 64}", digit * 64, 5, "application/onnx")


def version(number: int, **formats: str) -> Servable:
    all_formats = {"onnx-fp32": artifact(str(number))}
    all_formats |= {name.replace("_", "-"): artifact(digit) for name, digit in formats.items()}
    return Servable("models/m", number, all_formats)


VERSIONS = {1: version(1), 2: version(2, onnx_int8="b")}


def rollout(percent: float = 50, **changes: object) -> Rollout:
    return replace(Rollout("r1", 2, round(percent * 10_000), NOW, NOW), **changes)  # type: ignore[arg-type]


def channel(on: Rollout | None = None, **changes: object) -> Channel:
    plain = Channel(NAME, "models/m", 1, NOW, NOW, "u", rollout=on)
    return replace(plain, **changes)  # type: ignore[arg-type]


def served(there: Channel) -> Served[Answer]:
    return Served(there, VERSIONS, lambda answer: answer)


def numbers(there: Channel, **said: object) -> dict[str, int]:
    ready = served(there)
    devices = {device: Device(device, **said) for device in DEVICES}  # type: ignore[arg-type]
    return {name: ready.answer(device, ()).version.number for name, device in devices.items()}


def in_share(order: str, percent: float) -> set[str]:
    return {device for device in DEVICES if place(order, device) < end_of(round(percent * 10_000))}


def having(found: dict[str, int], number: int) -> set[str]:
    return {device for device, version in found.items() if version == number}


def test_without_a_rollout_everybody_has_the_channel_s_version() -> None:
    assert set(numbers(channel()).values()) == {1}


def test_a_rollout_reaches_its_share_and_says_so() -> None:
    there = channel(rollout(25))
    assert having(numbers(there), 2) == in_share("r1", 25)
    for device in DEVICES:
        answer = served(there).answer(Device(device), ())
        assert answer.rollout_id == ("r1" if answer.version.number == 2 else "")


def test_one_cohort_begins_with_the_same_devices() -> None:
    first = having(numbers(channel(rollout(10, cohort="spring"))), 2)
    again = having(numbers(channel(rollout(20, cohort="spring", rollout_id="r2"))), 2)
    other = having(numbers(channel(rollout(20, rollout_id="r2"))), 2)
    assert first == in_share("spring", 10)
    assert first < again
    assert not first <= other


def test_testers_have_it_whatever_the_share_is() -> None:
    there = channel(rollout(0, testers=("device-7", "elsewhere")))
    assert having(numbers(there), 2) == {"device-7"}


def test_paused_only_those_that_run_it_keep_it() -> None:
    there = channel(rollout(25, state=RolloutState.PAUSED, testers=("device-7",)))
    assert having(numbers(there), 2) == set()
    assert having(numbers(there, current_version=1), 2) == set()
    assert having(numbers(there, current_version=2), 2) == in_share("r1", 25) | {"device-7"}


@pytest.mark.parametrize("state", [RolloutState.HALTED])
def test_halted_nobody_has_it(state: RolloutState) -> None:
    there = channel(rollout(100, state=state, testers=("device-7",)))
    assert set(numbers(there, current_version=2).values()) == {1}


def test_constraints_of_a_rollout_leave_others_the_channel_s_version() -> None:
    there = channel(rollout(100, constraints=Constraints(("npu-10",), "2.0", "")))
    assert set(numbers(there).values()) == {1}
    assert set(numbers(there, profile="npu-10").values()) == {1}
    assert set(numbers(there, profile="npu-10", app_version=(1, 9)).values()) == {1}
    assert set(numbers(there, profile="npu-10", app_version=(2,)).values()) == {2}


def test_constraints_of_a_channel_shut_others_out() -> None:
    there = channel(rollout(100), constraints=Constraints(("npu-10",)))
    assert set(numbers(there, profile="npu-10").values()) == {2}
    with pytest.raises(FailedPreconditionError) as caught:
        served(there).answer(Device("d", "npu-9"), ())
    assert caught.value.reason == "DEVICE_EXCLUDED"


def test_the_first_format_that_there_is() -> None:
    there = served(channel(rollout(100)))
    assert there.answer(Device("d"), ()).format == "onnx-fp32"
    answer = there.answer(Device("d"), ("executorch-xnnpack", "onnx-int8", "onnx-fp32"))
    assert (answer.format, answer.artifact.sha256) == ("onnx-int8", "b" * 64)
    with pytest.raises(FailedPreconditionError, match="it has onnx-fp32, onnx-int8") as caught:
        there.answer(Device("d"), ("onnx-fp16",))
    assert caught.value.metadata["formats"] == "onnx-fp32, onnx-int8"


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        (channel(version=0), "NO_VERSION"),
        (channel(version=9), "VERSION_DELETED"),
        (channel(rollout(100, version=9)), "VERSION_DELETED"),
    ],
)
def test_what_there_is_not(there: Channel, reason: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        served(there).answer(Device("d"), ())
    assert caught.value.reason == reason


def test_a_channel_s_first_version_can_be_rolled_out() -> None:
    there = served(channel(rollout(0, testers=("t",)), version=0))
    assert there.answer(Device("t"), ()).version.number == 2
    with pytest.raises(NotFoundError):
        there.answer(Device("d"), ())


def test_an_etag_tells_every_other_answer() -> None:
    plain, trial = channel(), channel(rollout(100), revision=2)
    signed = {1: replace(version(1), signed_manifest=artifact("c"))}
    tags = [
        served(plain).answer(Device("d"), ()).etag,
        served(trial).answer(Device("d"), ()).etag,
        served(trial).answer(Device("d"), ("onnx-int8",)).etag,
        Served(plain, signed, lambda answer: answer).answer(Device("d"), ()).etag,
        served(replace(plain, revision=3)).answer(Device("d"), ()).etag,
    ]
    assert len(set(tags)) == len(tags)
    assert served(plain).answer(Device("e"), ()).etag == tags[0]


@given(st.integers(0, 1_000_000), st.integers(0, 1_000_000), st.sampled_from(DEVICES))
def test_raising_the_share_takes_the_version_from_nobody(one: int, other: int, device: str) -> None:
    less, more = (served(channel(rollout(share / 10_000))) for share in sorted((one, other)))
    if less.in_rollout(Device(device)):
        assert more.in_rollout(Device(device))


# The memory


class FakeFeed:
    """A database in a few lists; ``away`` makes it fail."""

    def __init__(self) -> None:
        self.stored: dict[str, Channel] = {}
        self.log: list[str] = []
        self.versions = dict(VERSIONS)
        self.away = False
        self.reads = 0

    def put(self, there: Channel) -> None:
        self.stored[there.name] = there
        self.log.append(there.name)

    def _read(self) -> None:
        self.reads += 1
        if self.away:
            raise UnavailableError("away")

    async def head(self) -> int:
        self._read()
        return len(self.log)

    async def changed_after(self, sequence: int, limit: int) -> Sequence[tuple[int, str]]:
        self._read()
        return [(number, name) for number, name in enumerate(self.log, 1) if number > sequence][:limit]

    async def channels(self, names: Collection[str] | None) -> Sequence[Channel]:
        self._read()
        return [one for name, one in self.stored.items() if names is None or name in names]

    async def servables(self, wanted: Collection[VersionKey]) -> dict[VersionKey, Servable]:
        self._read()
        return {key: self.versions[key[1]] for key in wanted if key[1] in self.versions}


@pytest.fixture
def feed() -> FakeFeed:
    return FakeFeed()


@pytest.fixture
def board(feed: FakeFeed) -> Board[Answer]:
    return Board(feed, lambda answer: answer)


def told(board: Board[Answer], name: str = NAME) -> int | str:
    try:
        return board.resolve(name, Device("d"), ()).version.number
    except AutoISPError as error:
        return error.reason


async def test_changes_are_taken_in(feed: FakeFeed, board: Board[Answer]) -> None:
    feed.put(channel())
    other = replace(channel(), name="products/p/channels/other")
    feed.put(other)
    await board.load()
    assert (told(board), told(board, other.name)) == (1, 1)
    feed.put(channel(version=2))
    assert told(board) == 1
    await board.catch_up()
    assert (told(board), told(board, other.name)) == (2, 1)
    del feed.stored[NAME]
    feed.log.append(NAME)
    await board.catch_up()
    assert (told(board), told(board, other.name)) == ("NOT_FOUND", 1)


async def test_answers_need_no_database(feed: FakeFeed, board: Board[Answer]) -> None:
    feed.put(channel())
    await board.load()
    feed.away = True
    reads = feed.reads
    assert told(board) == 1
    assert feed.reads == reads
    await board.catch_up()  # waited out
    assert told(board) == 1
    with pytest.raises(UnavailableError):
        await board.read()
    feed.put(channel(version=2))
    feed.away = False
    await board.catch_up()
    assert told(board) == 2


@pytest.mark.parametrize("resource", ["models/m", "models/m/versions/1"])
async def test_changes_of_a_version_are_taken_in(feed: FakeFeed, board: Board[Answer], resource: str) -> None:
    feed.put(channel())
    await board.load()
    feed.versions[1] = version(1, onnx_fp16="d")
    feed.log.append("models/another")
    await board.catch_up()
    with pytest.raises(FailedPreconditionError):
        board.resolve(NAME, Device("d"), ("onnx-fp16",))
    feed.log.append(resource)
    await board.catch_up()
    assert board.resolve(NAME, Device("d"), ("onnx-fp16",)).artifact.sha256 == "d" * 64
    del feed.versions[1]
    feed.log.append(resource)
    await board.catch_up()
    assert told(board) == "VERSION_DELETED"


async def test_many_changes_are_taken_in(feed: FakeFeed, board: Board[Answer]) -> None:
    await board.load()
    for number in range(2500):
        feed.put(replace(channel(), name=f"products/p/channels/c{number}"))
    feed.put(channel(version=2))
    await board.catch_up()
    assert (told(board), told(board, "products/p/channels/c2499")) == (2, 1)


async def test_another_database_is_read_from_its_start(feed: FakeFeed, board: Board[Answer]) -> None:
    for _ in range(3):
        feed.put(channel())
    await board.load()
    feed.stored, feed.log = {}, []
    feed.put(replace(channel(version=2), name="products/p/channels/restored"))
    await board.catch_up()
    assert (told(board), told(board, "products/p/channels/restored")) == ("NOT_FOUND", 2)


async def test_a_log_with_a_gap_at_its_end_is_no_endless_loop(
    feed: FakeFeed, board: Board[Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    await board.load()

    async def ahead() -> int:
        return 7

    monkeypatch.setattr(feed, "head", ahead)
    feed.stored[NAME] = channel()
    async with asyncio.timeout(10):
        await board.catch_up()
    assert told(board) == 1


async def test_whoever_follows_is_woken(feed: FakeFeed, board: Board[Answer]) -> None:
    feed.put(channel())
    await board.load()
    following = asyncio.create_task(board.follow())
    try:
        feed.put(channel(version=2))
        await board.wake()
        async with asyncio.timeout(20):
            while told(board) != 2:  # noqa: ASYNC110 - nobody tells of a change of memory
                await asyncio.sleep(0.01)
    finally:
        following.cancel()


def test_a_channel_with_another_name_is_told_from_one_that_is_missing(board: Board[Answer]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        board.resolve("products/p/channels/..", Device("d"), ())
    assert caught.value.field == "channel"
    assert told(board) == "NOT_FOUND"
