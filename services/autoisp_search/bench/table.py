"""The table: every network of one space under one limit, with its quality at two fidelities and its cost."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any

from autoisp_core.spec import SearchSpace, Spec, canonical_hash

FIDELITIES = ("low", "high")
"""Fidelities, as rungs count them: 0 is the low one."""

ROWS_FILE, RECIPE_FILE = "table.csv.gz", "recipe.json"
_CLIP, _SECONDS = "db", "train_seconds"


@dataclass(frozen=True, slots=True)
class Row:
    """One trained network.

    Attributes:
        spec: what was trained.
        clips: PSNR in dB on each validation clip, by fidelity, in the order of the recipe's clips.
        train_seconds: from the start to the end of each fidelity.
        macs_per_pixel: multiply-accumulates per output pixel.
        parameters: learned numbers.
        bytes_per_pixel: of feature maps written per output pixel.
        seconds_per_megapixel: measured in ONNX Runtime, one thread.
    """

    spec: Spec
    clips: Mapping[str, tuple[float, ...]]
    train_seconds: Mapping[str, float]
    macs_per_pixel: float
    parameters: int
    bytes_per_pixel: float
    seconds_per_megapixel: float

    def quality(self, fidelity: str = FIDELITIES[-1]) -> float:
        """Mean PSNR in dB over the validation clips."""
        return sum(self.clips[fidelity]) / len(self.clips[fidelity])


@dataclass(frozen=True)
class Table:
    """All rows of a space.

    Attributes:
        space: its members under the limit are the rows, each once.
        macs_limit: multiply-accumulates per output pixel.
        steps: of training, by fidelity, the low one's included in the high one's.
        rows: by canonical hash.
        recipe: how it was made, for people.
    """

    space: SearchSpace
    macs_limit: float
    steps: Mapping[str, int]
    rows: Mapping[str, Row]
    recipe: Mapping[str, Any] = field(default_factory=dict)

    def row(self, spec: Spec) -> Row | None:
        """The spec's row, however it is written; None if it is over the limit or not of the space."""
        return self.rows.get(canonical_hash(spec))

    def share(self, fidelity: str) -> float:
        """What part of a whole training a fidelity takes."""
        return self.steps[fidelity] / self.steps[FIDELITIES[-1]]


@lru_cache(maxsize=1)
def shipped() -> Table:
    """The table that comes with the package."""
    folder = files(__package__)
    recipe = json.loads((folder / RECIPE_FILE).read_text())
    return read((folder / ROWS_FILE).read_bytes(), recipe)


def read(packed: bytes, recipe: Mapping[str, Any]) -> Table:
    """A table from what :func:`pack` gave.

    Args:
        packed: the rows.
        recipe: with ``space``, ``macs_limit``, ``steps`` and ``clips``.
    """
    rows = {}
    for line in csv.DictReader(io.StringIO(gzip.decompress(packed).decode())):
        row = Row(
            spec=Spec.from_json(line["spec"]),
            clips={
                name: tuple(float(line[f"{name}_{_CLIP}_{clip}"]) for clip in recipe["clips"])
                for name in FIDELITIES
            },
            train_seconds={name: float(line[f"{name}_{_SECONDS}"]) for name in FIDELITIES},
            macs_per_pixel=float(line["macs_per_pixel"]),
            parameters=int(line["parameters"]),
            bytes_per_pixel=float(line["bytes_per_pixel"]),
            seconds_per_megapixel=float(line["seconds_per_megapixel"]),
        )
        rows[canonical_hash(row.spec)] = row
    space = SearchSpace.from_json(json.dumps(recipe["space"]))
    return Table(space, recipe["macs_limit"], recipe["steps"], rows, recipe)


def pack(rows: Sequence[Row], clips: Sequence[str]) -> bytes:
    """Rows as compressed CSV, in the order of their hashes: the same rows give the same bytes."""
    text = io.StringIO()
    columns = [f"{name}_{_CLIP}_{clip}" for name in FIDELITIES for clip in clips]
    columns += [f"{name}_{_SECONDS}" for name in FIDELITIES]
    costs = ["macs_per_pixel", "parameters", "bytes_per_pixel", "seconds_per_megapixel"]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["spec", *columns, *costs])
    for row in sorted(rows, key=lambda row: canonical_hash(row.spec)):
        values = [value for name in FIDELITIES for value in row.clips[name]]
        values += [row.train_seconds[name] for name in FIDELITIES]
        values += [getattr(row, name) for name in costs]
        writer.writerow([row.spec.to_json(), *(f"{value:.10g}" for value in values)])
    return gzip.compress(text.getvalue().encode(), mtime=0)
