"""Channels that a device pads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from autoisp_core.lint.accelerator import Accelerator
from autoisp_core.lint.finding import Rule, Severity
from autoisp_core.lint.graph import Node
from autoisp_core.lint.hit import Hit
from autoisp_core.lint.reading import Reading

_WORTH_TELLING = 0.1
"""Lost arithmetic over the graph's own."""


@dataclass(frozen=True, slots=True)
class _Work:
    """One convolution.

    Attributes:
        node: which.
        macs: its multiply-accumulates.
        padded: those with padded channels.
        widths: channels that can be chosen; of a grouped one, those of a group.
        grouped: whether it is a grouped one, other than depthwise.
    """

    node: Node
    macs: int
    padded: int
    widths: tuple[int, ...]
    grouped: bool = False

    @property
    def lost(self) -> int:
        """Multiply-accumulates with nothing."""
        return self.padded - self.macs


def channels_not_aligned(reading: Reading, device: Accelerator) -> Iterator[Hit]:
    """The convolutions whose channels are padded, if that costs something altogether and can be helped.

    Nobody can choose the channels of the pictures that go in and come out.
    """
    many = device.channel_multiple
    work = [one for node in reading.working if (one := _work(reading, node, many)) is not None]
    total, padded = sum(one.macs for one in work), sum(one.padded for one in work)
    wasteful = [one for one in work if one.lost and any(width % many for width in one.widths)]
    if not wasteful or sum(one.lost for one in wasteful) < total * _WORTH_TELLING:
        return
    wasteful.sort(key=lambda one: -one.lost)
    yield Hit(
        Rule.CHANNELS_NOT_ALIGNED,
        Severity.WARNING,
        f"{len(wasteful)} of {len(work)} convolutions have channels that the device pads to multiples of "
        f"{many}: it computes {padded / total:.1f} times the arithmetic of the graph",
        _fix(wasteful, many),
        tuple(one.node for one in wasteful),
        merges=False,
    )


def _fix(wasteful: list[_Work], many: int) -> str:
    """Speaks of the width where most is lost."""
    if wasteful[0].grouped:
        width = wasteful[0].widths[0]
        return (
            f"use dense convolutions for grouped ones: each group of {width} channels costs as much as {many}"
        )
    lost: dict[int, int] = {}
    for one in wasteful:
        for width in set(one.widths):
            lost[width] = lost.get(width, 0) + (one.lost if width % many else 0)
    width = max(lost, key=lambda key: (lost[key], key))
    wider = -(-width // many) * many
    text = f"use width {wider} instead of {width}: its arithmetic costs the device no more"
    return text + (f"; or width {width // many * many}, which costs less" if width > many else "")


def _work(reading: Reading, node: Node, many: int) -> _Work | None:
    shape = reading.weight_shape(node) if node.operator == "Conv" else None
    made = reading.graph.tensor(node.outputs[0]).shape if shape else None
    if shape is None or made is None or len(shape) < 3 or len(made) != len(shape):
        return None
    groups = max(1, node.integer("group", 1))
    outside, per_group = -(-shape[0] // groups), shape[1]
    area = prod(shape[2:]) * prod(made[2:]) * made[0]
    macs = area * shape[0] * per_group
    widths = (() if node.inputs[0] in reading.given_channels else (per_group,)) + (
        () if node.outputs[0] in reading.asked_channels else (outside,)
    )
    if per_group == 1 and groups > 1:
        return _Work(node, macs, area * _up(shape[0], many), (shape[0],))
    return _Work(node, macs, area * groups * _up(outside, many) * _up(per_group, many), widths, groups > 1)


def _up(channels: int, many: int) -> int:
    return -(-channels // many) * many
