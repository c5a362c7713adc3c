"""The spec: a frozen description of one network, and its JSON form."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.spec.layers import Layer, LayerType


class SpecError(InvalidArgumentError):
    """A spec breaks a rule; ``field`` says where (``spec.block[3].kernel``), the message quotes the tuple."""

    default_reason = "INVALID_SPEC"


@dataclass(frozen=True, slots=True)
class Spec:
    """One pixel-level network: stem, a block repeated with residuals, head.

    Attributes:
        block: layers in index order; the last is ``TERMINAL``.
        width: channels between stem and head.
        repeats: how many times the block follows itself, each time with its own weights.
        packing: output pixels per feature pixel along one axis. 2: features live at half resolution, as
            packed Bayer planes do; 4: at a quarter, 8: at an eighth, by a further space-to-depth.
        frames: raw frames the network sees, oldest first, the current one last.
        stem_kernel: kernel of the first convolution, in feature pixels.
        head_kernel: kernel of the last convolution, in feature pixels.
        recurrent: 1: the stem's features are fused with those of the frames before, which are carried from
            frame to frame as the network's state; 0: no state.
        residual: 1: what the head gives is added to a fixed demosaic of the newest frame; 0: it is all.
        head: 0: the head gives the picture's pixels; 1: it gives each pixel a 3 × 3 kernel, which is applied
            to a fixed demosaic of the newest frame.

    A spec can be built invalid; :func:`autoisp_core.spec.validate` says so.
    """

    block: tuple[Layer, ...]
    width: int
    repeats: int = 1
    packing: int = 2
    frames: int = 3
    stem_kernel: int = 3
    head_kernel: int = 3
    recurrent: int = 0
    residual: int = 0
    head: int = 0

    @staticmethod
    def code(*tuples: Iterable[int]) -> tuple[Layer, ...]:
        """A block from plain integer 5-tuples.

        Raises:
            SpecError: a tuple has not five integers or an unknown type code.

        Example:
            >>> Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0))[1].type.name
            'TERMINAL'
        """
        return tuple(_layer(position, list(values)) for position, values in enumerate(tuples))

    def to_json(self) -> str:
        """One line of JSON with a fixed key order: equal specs give equal text.

        Extensions that are off are left out, so that a spec without them reads as it did before they were.
        """
        document: dict[str, Any] = {"block": [list(layer.as_tuple()) for layer in self.block]}
        document |= {name: getattr(self, name) for name in _NUMBERS if name not in EXTENSIONS}
        document |= self.extensions
        return json.dumps(document, separators=(",", ":"))

    @property
    def extensions(self) -> dict[str, int]:
        """What is on of :data:`EXTENSIONS`."""
        return {name: getattr(self, name) for name in EXTENSIONS if getattr(self, name)}

    @classmethod
    def from_json(cls, text: str | bytes) -> Spec:
        """Reads what :meth:`to_json` wrote. Omitted numbers take their defaults; the rules aren't checked.

        Raises:
            SpecError: no JSON object, a missing or unknown key, or a value of the wrong type.
        """
        try:
            document = json.loads(text)
        except ValueError as error:
            raise SpecError("spec", f"the spec is no JSON: {error}; write what Spec.to_json gives") from error
        if not isinstance(document, dict) or not isinstance(document.get("block"), list):
            raise SpecError("spec", "the spec must be a JSON object with a list 'block' of 5-tuples")
        unknown = sorted(set(document) - {"block", *_NUMBERS})
        if unknown:
            allowed = ", ".join(["block", *_NUMBERS])
            raise SpecError(f"spec.{unknown[0]}", f"unknown key {unknown[0]!r}; a spec has {allowed}")
        if "width" not in document:
            raise SpecError(
                "spec.width", "the spec has no 'width'; give the channel count between stem and head"
            )
        numbers = {name: document[name] for name in _NUMBERS if name in document}
        for name, value in numbers.items():
            if not _is_integer(value):
                raise SpecError(f"spec.{name}", f"{name} is {value!r}; it must be an integer")
        for position, values in enumerate(document["block"]):
            if not isinstance(values, list):
                raise SpecError(f"spec.block[{position}]", f"{values!r} is no list of five integers")
        return cls(block=cls.code(*document["block"]), **numbers)


EXTENSIONS = ("recurrent", "residual", "head")
"""Fields that specs did not always have: at 0, neither the JSON nor the canonical hash knows them."""

_NUMBERS = tuple(field.name for field in fields(Spec) if field.name != "block")


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _layer(position: int, values: list[int]) -> Layer:
    where = f"spec.block[{position}]"
    if len(values) != 5 or not all(_is_integer(value) for value in values):
        raise SpecError(where, f"{values!r} must be five integers (index, type, kernel, pred1, pred2)")
    index, code, kernel, pred1, pred2 = values
    try:
        kind = LayerType(code)
    except ValueError:
        known = ", ".join(f"{int(kind)} {kind.name}" for kind in LayerType)
        raise SpecError(
            f"{where}.type", f"{tuple(values)!r} has the unknown type {code}; use {known}"
        ) from None
    return Layer(index, kind, kernel, pred1, pred2)
