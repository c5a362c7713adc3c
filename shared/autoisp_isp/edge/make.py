"""Makes the formats of a network, and measures on calibration frames what they lose."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import onnx
from autoisp_core.errors import FailedPreconditionError, InvalidArgumentError

from autoisp_isp.cost import count_cost
from autoisp_isp.edge.calibration import observe
from autoisp_isp.edge.half import halved, map_nodes, rounding_twin
from autoisp_isp.edge.int8 import Quantiser
from autoisp_isp.edge.made import EXECUTORCH, FP16, FP32, INT8, Made, no_footage
from autoisp_isp.edge.prepared import prepared
from autoisp_isp.edge.region import learned_nodes
from autoisp_isp.edge.shots import (
    CalibrationFrame,
    closeness,
    developed,
    graph_inputs,
    lost_db,
)
from autoisp_isp.edge.widening import Precision, choose
from autoisp_isp.edge.xnnpack import make_program
from autoisp_isp.runtime_session import load_session

TARGET_DB = 0.1
"""What int8 may lose on calibration frames, in shadows as over all pixels, before activations are widened.
Cleaner frames than those lose more: a quarter of what is allowed in the end is left for them."""
VISIBLE_DB = 0.05
"""What half precision may lose likewise, before the fixed maths goes back to float32."""
_CLOSE_DB = 50.0
"""Without a truth: how close to the float32 pictures those in half precision have to be."""
_WORK, _MEASURED = 2e12, (8, 100)
"""Multiply-accumulates that finding 16-bit places may take, and how often a form is measured for it: a minute
on one core. A bound in time would give another file on a busy machine."""


def make(name: str, model: bytes, frames: Sequence[CalibrationFrame], *, truth: bool = True) -> Made:
    """Makes one of the formats.

    The same arguments give the same bytes.

    Args:
        name: one of `autoisp_isp.edge.FORMATS`.
        model: float32 ONNX of the model contract.
        frames: to calibrate with, in order.
        truth: whether the frames are real and have one.

    Raises:
        InvalidArgumentError: no such format, or no graph of the contract.
        FailedPreconditionError: reason NO_FOOTAGE, int8 needs real frames; NOTHING_LEARNED, the graph has no
            convolution to quantise; OUT_OF_RANGE, half precision can't hold its values; NOT_CONVERTIBLE.
    """
    if name == FP32:
        return Made(model, note="as it was registered")
    if name == FP16:
        return _half(model, frames, truth)
    if name == EXECUTORCH:
        return make_program(model, frames)
    if name != INT8:
        raise InvalidArgumentError("formats", f"no format {name!r} is made here")
    if not truth:
        raise no_footage()
    return _int8(model, frames)


def _half(data: bytes, frames: Sequence[CalibrationFrame], truth: bool) -> Made:
    model = prepared(data)
    reference = developed(load_session(data), frames)
    learned, maps = learned_nodes(model), map_nodes(model)
    attempts = (
        (maps, "weights and feature maps in half precision, what is told of a frame in float32"),
        (learned, "the learned layers in half precision; the fixed maths around them stays float32"),
    )
    for places, note in attempts:
        twin = rounding_twin(model, places).SerializeToString(deterministic=True)
        pictures = developed(load_session(twin), frames)
        lost = max(lost_db(reference, pictures, frames))
        good = lost <= VISIBLE_DB if truth else closeness(reference, pictures) >= _CLOSE_DB
        if places and good:
            shipped = halved(model, places).SerializeToString(deterministic=True)
            return Made(shipped, judged=twin, note=note)
    raise FailedPreconditionError(
        f"in half precision the network loses {lost:.2f} dB in shadows, or gives no numbers at all: its "
        "values leave the range of float16; train it with another seed",
        reason="OUT_OF_RANGE",
    )


def _int8(data: bytes, frames: Sequence[CalibrationFrame]) -> Made:
    model = prepared(data)
    quantiser = Quantiser(model)
    if not quantiser.convolutions:
        raise FailedPreconditionError(
            "the graph has no convolution with weights of its own, so there is nothing to quantise",
            reason="NOTHING_LEARNED",
        )
    values = observe(model, quantiser.observed, graph_inputs(data, frames))
    reference = developed(load_session(data), frames)

    def quantised(wide: Collection[str], exact: Collection[str]) -> bytes:
        made: onnx.ModelProto = quantiser.quantised(values, wide=wide, exact=exact)
        return bytes(made.SerializeToString(deterministic=True))

    def measure(wide: Collection[str], exact: Collection[str]) -> float:
        pictures = developed(load_session(quantised(wide, exact)), frames)
        return max(lost_db(reference, pictures, frames))

    places = quantiser.places(values)
    found = choose(places, quantiser.convolutions, measure, target_db=TARGET_DB, at_most=_calls(data, frames))
    note = _note(found, len(places), len(quantiser.convolutions))
    return Made(quantised(found.wide, found.exact), note=note)


def _calls(data: bytes, frames: Sequence[CalibrationFrame]) -> int:
    pixels = sum(4 * frame.raw.shape[-2] * frame.raw.shape[-1] for frame in frames)
    least, most = _MEASURED
    return min(most, max(least, int(_WORK / (count_cost(data).macs_per_pixel * pixels + 1))))


def _note(found: Precision, places: int, convolutions: int) -> str:
    if not (found.wide or found.exact):
        return f"8-bit activations in all {places} places; {found.loss_db:.2f} dB lost in calibration"
    text = f"16-bit activations in {len(found.wide)} of {places} places"
    if found.exact:
        text += f" and 16-bit weights in {len(found.exact)} of {convolutions} convolutions"
    return (
        f"{text}, where 8 bits lost {found.narrow_loss_db:.2f} dB in calibration ({found.loss_db:.2f} dB now)"
    )
