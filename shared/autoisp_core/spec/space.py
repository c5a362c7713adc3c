"""The space a search walks in: which specs exist, and how to draw and change them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from itertools import product
from typing import Any

from autoisp_core.spec import blocks
from autoisp_core.spec.cost import cost
from autoisp_core.spec.layers import KERNELS, Layer, LayerType
from autoisp_core.spec.model import Spec, SpecError
from autoisp_core.spec.rules import (
    END_KERNELS,
    FRAMES,
    MAX_INDEX,
    MIN_WIDTH,
    PACKINGS,
    SWITCHES,
    is_valid,
    reads_twice,
)

_KERNELS = tuple(sorted({kernel for kernels in KERNELS.values() for kernel in kernels}))
_ATTEMPTS = 200
_LEAST_SHARE = 0.35
"""Draws within a budget use at least this share of it where they can: nearly spent budgets win."""


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """The specs that a search may propose.

    Attributes:
        types: layer types a block may use; ``TERMINAL`` is implied. ``DYNAMIC`` is off by default: many
            accelerators refuse kernels that are made at run time.
        kernels: kernel sizes for the types that have one.
        max_layers: most layers in a block. The terminal's index is one more, so 22 are the paper's 23.
        widths: channel counts. Multiples of 16 fill the vector units of ONNX Runtime's blocked convolutions;
            20 channels take as long as 32.
        repeats: block repetitions.
        packings: see :class:`Spec`.
        frames: see :class:`Spec`.
        stem_kernels: see :class:`Spec`.
        head_kernels: see :class:`Spec`.
        recurrent: see :class:`Spec`; some 0.6 dB at equal arithmetic, in short trainings, made it a choice.
        residual: see :class:`Spec`.
        heads: see :class:`Spec`.

    A layer that reads the same predecessor twice is in no space: such a sum only scales what a convolution
    scales anyway.

    Raises:
        SpecError: on construction, for an empty or impossible choice.
    """

    types: tuple[LayerType, ...] = (
        LayerType.CONV,
        LayerType.DEPTHWISE,
        LayerType.MAX_POOL,
        LayerType.AVG_POOL,
        LayerType.IDENTITY,
        LayerType.ADD,
        LayerType.CONCAT,
        LayerType.GATE,
        LayerType.COARSE,
    )
    kernels: tuple[int, ...] = (1, 3, 5)
    max_layers: int = 5
    widths: tuple[int, ...] = (8, 12, 16, 18, 20, 22, 24, 28, 32, 36, 40, 48, 64)
    repeats: tuple[int, ...] = (1, 2, 3, 4, 6)
    packings: tuple[int, ...] = (2, 4)
    frames: tuple[int, ...] = (1, 3, 5)
    stem_kernels: tuple[int, ...] = (1, 3)
    head_kernels: tuple[int, ...] = (1, 3)
    recurrent: tuple[int, ...] = (0, 1)
    residual: tuple[int, ...] = (0,)
    heads: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "max_layers" and not value:
                raise SpecError(f"space.{field.name}", f"{field.name} is empty; give at least one value")
        for name, allowed in (
            ("kernels", _KERNELS),
            ("packings", PACKINGS),
            ("frames", FRAMES),
            ("stem_kernels", END_KERNELS),
            ("head_kernels", END_KERNELS),
            ("recurrent", SWITCHES),
            ("residual", SWITCHES),
            ("heads", SWITCHES),
        ):
            wrong = [value for value in getattr(self, name) if value not in allowed]
            if wrong:
                raise SpecError(f"space.{name}", f"{name} has {wrong}; allowed are {list(allowed)}")
        for name, least in (("widths", MIN_WIDTH), ("repeats", 1)):
            if min(getattr(self, name)) < least:
                raise SpecError(f"space.{name}", f"{name} must be {least} or more")
        if LayerType.TERMINAL in self.types:
            raise SpecError("space.types", "TERMINAL ends every block and can't be searched; leave it out")
        if not 1 <= self.max_layers < MAX_INDEX:
            raise SpecError("space.max_layers", f"max_layers must be 1 … {MAX_INDEX - 1}")
        if not self.choices():
            raise SpecError("space.kernels", "no type in 'types' allows any of 'kernels'; add 3")
        if not any(blocks.is_unary(kind) for kind, _ in self.choices()):
            raise SpecError(
                "space.types", "no type with one predecessor, which every block begins with; add CONV"
            )

    def choices(self) -> tuple[tuple[LayerType, int], ...]:
        """All (type, kernel) pairs that one layer may take. Pools and identity with kernel 1 appear once."""
        pairs = [
            (kind, kernel)
            for kind in self.types
            for kernel in KERNELS.get(kind, (0,))
            if kernel == 0 or kernel in self.kernels
        ]
        pools = (LayerType.MAX_POOL, LayerType.AVG_POOL)
        return tuple(pair for pair in pairs if not (pair[0] in pools and pair[1] == 1))

    def contains(self, spec: Spec) -> bool:
        """Whether the spec is valid and made of this space's choices only."""
        choices = frozenset(self.choices())
        return (
            is_valid(spec)
            and len(spec.block) - 1 <= self.max_layers
            and all((layer.type, layer.kernel) in choices for layer in spec.block[:-1])
            and not any(map(reads_twice, spec.block))
            and all(getattr(spec, name) in values for name, values in self.numbers().items())
        )

    def cheapest(self) -> Spec:
        """The spec with the fewest MAC per output pixel (ties: fewest bytes); no budget below can be met."""
        specs = [
            Spec(
                block=blocks.chain((choice,)),
                width=width,
                repeats=min(self.repeats),
                packing=packing,
                frames=min(self.frames),
                stem_kernel=min(self.stem_kernels),
                head_kernel=min(self.head_kernels),
                recurrent=min(self.recurrent),
                residual=min(self.residual),
                head=head,
            )
            for choice in self.choices()
            for width in self.widths
            for packing in self.packings
            for head in self.heads
            if blocks.is_unary(choice[0])
        ]
        return min(specs, key=lambda spec: (cost(spec).macs_per_pixel, cost(spec).bytes_per_pixel))

    def sample(self, rng: random.Random) -> Spec:
        """A random member of the space."""
        spec = Spec(block=blocks.random_block(self.choices(), self.max_layers, rng), width=self.widths[0])
        fixed = {name: values[0] for name, values in self.numbers().items()}
        return _with(spec, fixed | {name: rng.choice(values) for name, values in self._free().items()})

    def sample_within(self, rng: random.Random, max_macs: float) -> Spec:
        """A random member of at most ``max_macs`` MAC per output pixel and, where it can, nearly that.

        Raises:
            SpecError: not even the cheapest member fits.
        """
        for _ in range(_ATTEMPTS):
            fitted = self._fit(self.sample(rng), rng, max_macs)
            if fitted is not None:
                return fitted
        return self._affordable_cheapest(max_macs)

    def mutate(self, spec: Spec, rng: random.Random) -> Spec:
        """A member that differs from ``spec`` by one or two small changes; a random one if none is found."""
        for _ in range(_ATTEMPTS):
            child = self._mutated_once(spec, rng)
            if rng.random() < 0.3:
                child = self._mutated_once(child, rng)
            if child != spec and self.contains(child):
                return child
        return self.sample(rng)

    def mutate_within(self, spec: Spec, rng: random.Random, max_macs: float) -> Spec:
        """Like :meth:`mutate`, with width and repeats adapted to the budget.

        Raises:
            SpecError: not even the cheapest member fits.
        """
        for _ in range(_ATTEMPTS):
            child = self.mutate(spec, rng)
            share = cost(child).macs_per_pixel / max_macs
            fitted = child if _LEAST_SHARE <= share <= 1 else self._fit(child, rng, max_macs)
            if fitted is not None and fitted != spec:
                return fitted
        return self.sample_within(rng, max_macs)

    def sizes(self, block: tuple[Layer, ...]) -> Iterator[Spec]:
        """The block with every combination of the space's numbers around it."""
        numbers = self.numbers()
        for values in product(*numbers.values()):
            yield _with(Spec(block=block, width=self.widths[0]), dict(zip(numbers, values, strict=True)))

    def to_json(self) -> str:
        """One line of JSON with a fixed key order; types are their codes."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> SearchSpace:
        """Reads what :meth:`to_json` wrote; omitted keys take their defaults.

        Raises:
            SpecError: no JSON object, an unknown key, or impossible values.
        """
        try:
            document = json.loads(text)
        except ValueError as error:
            raise SpecError("space", f"the space is no JSON: {error}") from error
        names = [field.name for field in fields(cls)]
        if not isinstance(document, dict) or set(document) - set(names):
            raise SpecError("space", f"the space must be a JSON object with keys out of {', '.join(names)}")
        try:
            values: dict[str, Any] = {
                name: int(value) if name == "max_layers" else tuple(int(number) for number in value)
                for name, value in document.items()
            }
            if "types" in values:
                values["types"] = tuple(LayerType(code) for code in values["types"])
        except (OverflowError, TypeError, ValueError) as error:
            raise SpecError("space", f"the space has a wrong value: {error}") from error
        return cls(**values)

    def numbers(self) -> dict[str, tuple[int, ...]]:
        """What the space allows for each number around the block, by its name in :class:`Spec`."""
        return {
            "width": self.widths,
            "repeats": self.repeats,
            "packing": self.packings,
            "frames": self.frames,
            "stem_kernel": self.stem_kernels,
            "head_kernel": self.head_kernels,
            "recurrent": self.recurrent,
            "residual": self.residual,
            "head": self.heads,
        }

    def _free(self) -> dict[str, tuple[int, ...]]:
        """The numbers that leave a choice: a draw for another would be wasted."""
        return {name: values for name, values in self.numbers().items() if len(values) > 1}

    def _mutated_once(self, spec: Spec, rng: random.Random) -> Spec:
        free = self._free()
        if not free or rng.random() < 0.6:
            return replace(spec, block=blocks.mutated(spec.block, self.choices(), self.max_layers, rng))
        name, values = rng.choice(list(free.items()))
        return _with(spec, {name: rng.choice(values)})

    def _fit(self, spec: Spec, rng: random.Random, max_macs: float) -> Spec | None:
        """The same block with a width and repeats that nearly spend the budget, or None."""
        smallest = [replace(spec, width=width, repeats=min(self.repeats)) for width in self.widths]
        if min(cost(size).macs_per_pixel for size in smallest) > max_macs:
            return None
        sizes = [
            replace(spec, width=width, repeats=repeats) for width in self.widths for repeats in self.repeats
        ]
        fitting = [size for size in sizes if _LEAST_SHARE * max_macs <= cost(size).macs_per_pixel <= max_macs]
        return rng.choice(fitting) if fitting else None

    def _affordable_cheapest(self, max_macs: float) -> Spec:
        """The fallback for budgets that no draw nearly spends."""
        cheapest = self.cheapest()
        least = cost(cheapest).macs_per_pixel
        if least > max_macs:
            raise SpecError(
                "max_macs",
                f"the budget of {max_macs:g} MAC per pixel is below the cheapest network of the space "
                f"({least:g}); ask for a smaller reduction",
            )
        return cheapest


def _with(spec: Spec, numbers: dict[str, int]) -> Spec:
    changes: dict[str, Any] = dict(numbers)
    return replace(spec, **changes)
