"""The shipped table: complete, consistent, and what the guide says it is."""

from __future__ import annotations

import pytest
from autoisp_core.spec import canonical_hash, cost
from autoisp_core.spec.enumeration import members
from autoisp_search.bench.hypervolume import hypervolume, references
from autoisp_search.bench.table import FIDELITIES, Table, shipped


@pytest.fixture(scope="module")
def table() -> Table:
    return shipped()


def test_every_member_of_the_space_is_there_once(table: Table) -> None:
    expected = [canonical_hash(spec) for spec in members(table.space, table.macs_limit)]
    assert len(table.rows) == len(expected) == 1300
    assert set(table.rows) == set(expected)


def test_costs_are_what_the_specs_cost(table: Table) -> None:
    for row in table.rows.values():
        priced = cost(row.spec)
        assert (row.macs_per_pixel, row.parameters, row.bytes_per_pixel) == (
            priced.macs_per_pixel,
            priced.parameters,
            priced.bytes_per_pixel,
        )


def test_results_are_results(table: Table) -> None:
    clips = len(table.recipe["clips"])
    for row in table.rows.values():
        for fidelity in FIDELITIES:
            assert len(row.clips[fidelity]) == clips
            assert all(5 < quality < 50 for quality in row.clips[fidelity])
        assert 0 < row.train_seconds["low"] < row.train_seconds["high"]
        assert row.seconds_per_megapixel > 0
    # Longer training helps, or the two fidelities are mixed up.
    better = sum(row.quality("high") > row.quality("low") for row in table.rows.values())
    assert better > 0.95 * len(table.rows)


def test_the_corners_leave_room(table: Table) -> None:
    corners = references(table)
    assert list(corners) == ["cheapest", "lowest"]
    assert corners["lowest"].quality_db < corners["cheapest"].quality_db
    volumes = {name: hypervolume(table.rows.values(), corner) for name, corner in corners.items()}
    assert 0 < volumes["cheapest"] < volumes["lowest"]
