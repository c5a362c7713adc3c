"""docs/guides/evaluation.md says what is so: its gate can be read, and all that gates know is in it."""

from __future__ import annotations

import re
from pathlib import Path

from autoisp_core.quality import COSTS, Bound, Confidence, Gate, Slice, Verdict

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "evaluation.md").read_text("utf-8")


def test_the_gate_of_the_guide_can_be_read() -> None:
    (text,) = re.findall(r"^```toml\n(.*?)^```$", GUIDE, flags=re.DOTALL | re.MULTILINE)
    gate = Gate.parse(text)
    gate.require(["prototype", "model"])
    assert len(gate.checks) == 4
    # The comments call these the defaults.
    without = re.sub(r"^(subject|baseline).*\n", "", text, flags=re.MULTILINE)
    assert Gate.parse(without) == gate


def test_everything_that_a_gate_knows_is_explained() -> None:
    for name in (*COSTS, *Bound, *Confidence):
        assert f"`{name}`" in GUIDE
    for verdict in Verdict:
        assert f"`{verdict.name}`" in GUIDE
    for text in re.findall(r"`((?:all|each|worst_\w+|clip)(?::[^`]+)?)`", GUIDE):
        assert Slice.parse(text), text
