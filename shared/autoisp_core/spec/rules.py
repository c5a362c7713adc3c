"""Which specs are well formed."""

from __future__ import annotations

from autoisp_core.spec.layers import BINARY, KERNELS, Layer, LayerType
from autoisp_core.spec.model import EXTENSIONS, Spec, SpecError

MAX_INDEX = 23
"""Largest layer index of BlockQNN's code, the terminal's included."""

PACKINGS = (2, 4, 8)
FRAMES = (1, 3, 5)
END_KERNELS = (1, 3, 5)
SWITCHES = (0, 1)
"""Values of ``recurrent``, ``residual`` and ``head``."""
MIN_WIDTH = 4
"""A narrower network could not even pass the four Bayer planes on."""


def validate(spec: Spec, *, max_index: int = MAX_INDEX) -> None:
    """Checks every rule of the code and of the numbers around it.

    Raises:
        SpecError: names the first offending tuple or number and what is allowed there.
    """
    _one_of("packing", spec.packing, PACKINGS)
    _one_of("frames", spec.frames, FRAMES)
    _one_of("stem_kernel", spec.stem_kernel, END_KERNELS)
    _one_of("head_kernel", spec.head_kernel, END_KERNELS)
    for name in EXTENSIONS:
        _one_of(name, getattr(spec, name), SWITCHES)
    _at_least("width", spec.width, MIN_WIDTH)
    _at_least("repeats", spec.repeats, 1)
    _validate_block(spec.block, max_index)


def is_valid(spec: Spec, *, max_index: int = MAX_INDEX) -> bool:
    """Whether :func:`validate` accepts the spec."""
    try:
        validate(spec, max_index=max_index)
    except SpecError:
        return False
    return True


def loose_ends(block: tuple[Layer, ...]) -> tuple[int, ...]:
    """Indices of the layers that no other layer reads, ascending: together they are the block's output."""
    used = {pred for layer in block for pred in layer.predecessors}
    return tuple(
        layer.index for layer in block if layer.type != LayerType.TERMINAL and layer.index not in used
    )


def reads_twice(layer: Layer) -> bool:
    """Whether both predecessors are the same: BlockQNN's code allows it, search spaces don't."""
    return layer.type in BINARY and layer.pred1 == layer.pred2


def has_coarse(block: tuple[Layer, ...]) -> bool:
    """Whether a layer works at half the features' resolution, so that features need even sizes."""
    return any(layer.type == LayerType.COARSE for layer in block)


def has_dynamic(block: tuple[Layer, ...]) -> bool:
    """Whether a layer makes its kernels from the frame, so that a graph takes one frame at a time."""
    return any(layer.type == LayerType.DYNAMIC for layer in block)


def _validate_block(block: tuple[Layer, ...], max_index: int) -> None:
    if len(block) < 2:
        raise SpecError("spec.block", "the block needs at least one layer and a TERMINAL=7 after it")
    if len(block) > max_index:
        raise SpecError("spec.block", f"the block has {len(block)} tuples; at most {max_index} are allowed")
    for position, layer in enumerate(block):
        _validate_layer(position, layer, last=position == len(block) - 1)


def _validate_layer(position: int, layer: Layer, *, last: bool) -> None:
    where = f"spec.block[{position}]"
    if layer.index != position + 1:
        raise SpecError(f"{where}.index", f"{layer} must have index {position + 1}: indices count from 1")
    if last != (layer.type == LayerType.TERMINAL):
        raise SpecError(f"{where}.type", f"{layer}: TERMINAL=7 must end the block, once")
    allowed = KERNELS.get(layer.type, (0,))
    if layer.kernel not in allowed:
        raise SpecError(f"{where}.kernel", f"{layer}: {layer.type.name} takes kernel {_either(allowed)}")
    if layer.type == LayerType.TERMINAL and layer.pred1 != 0:
        raise SpecError(f"{where}.pred1", f"{layer}: TERMINAL has no predecessors, write 0")
    if layer.type not in BINARY and layer.pred2 != 0:
        raise SpecError(f"{where}.pred2", f"{layer}: {layer.type.name} has no second predecessor, write 0")
    for name, pred in (("pred1", layer.pred1), ("pred2", layer.pred2)):
        if not 0 <= pred < layer.index:
            raise SpecError(f"{where}.{name}", f"{layer}: {name} must be 0 … {layer.index - 1}")


def _one_of(name: str, value: int, allowed: tuple[int, ...]) -> None:
    if value not in allowed:
        raise SpecError(f"spec.{name}", f"{name} is {value}; it must be {_either(allowed)}")


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise SpecError(f"spec.{name}", f"{name} is {value}; it must be at least {least}")


def _either(values: tuple[int, ...]) -> str:
    return " or ".join(str(value) for value in values)
