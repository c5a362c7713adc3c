"""docs/guides/rollouts.md says what is so: its states, limits and reasons are the code's."""

from pathlib import Path

import pytest
from autoisp_registry.rollouts import domain, validation
from autoisp_registry.rollouts.api import MAX_BATCH
from autoisp_registry.rollouts.domain.channel import MAX_HISTORY, RolloutState
from autoisp_registry.rollouts.domain.outcomes import MAX_REASONS, HaltRule

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "rollouts.md").read_text("utf-8")
TEXT = " ".join(GUIDE.split())


@pytest.mark.parametrize(
    "said",
    [
        f"the last {MAX_HISTORY} versions",
        f"at most {validation.MAX_TESTERS:,}, of {validation.MAX_TESTERS_BYTES >> 10} KiB",
        f"up to {MAX_BATCH:,} devices at once",
        f"after {MAX_REASONS} reasons",
        f"(default {100 * HaltRule().max_failure_rate:g} %)",
        f"`min_devices` (default {HaltRule().min_devices})",
    ],
)
def test_its_numbers(said: str) -> None:
    assert said in TEXT


def test_its_states() -> None:
    told = GUIDE.partition("| state |")[2].partition("\n\n")[0]
    assert [line.split("`")[1] for line in told.splitlines() if line.startswith("| `")] == list(RolloutState)


def test_its_reasons() -> None:
    source = (Path(domain.__file__).parent / "resolving.py").read_text("utf-8")
    for reason in ("NO_VERSION", "VERSION_DELETED", "NO_FORMAT", "DEVICE_EXCLUDED"):
        assert f'reason="{reason}"' in source
        assert f"`{reason}`" in GUIDE
