"""What values the tensors of a graph take on frames that are like those to come."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx
from autoisp_core.errors import FailedPreconditionError

from autoisp_isp.edge.shadows import Array
from autoisp_isp.runtime_session import open_session

_SAMPLES = 4096
"""Values kept per tensor and frame, evenly spread over it."""
_SHRUNK = tuple(1.0 - 0.05 * step for step in range(11))
_WIDENED = 1.5
"""With 16 bits there are steps enough to leave room for what no frame has shown."""


@dataclass(frozen=True)
class Observed:
    """One tensor's values: the extremes of all of them, and some of them."""

    lowest: float
    highest: float
    samples: Array

    @cached_property
    def narrow(self) -> tuple[float, float]:
        """The range to spread 8 bits over: the one with the least mean square error, which may cut rare
        values off. It contains zero."""
        lowest, highest = min(0.0, self.lowest), max(0.0, self.highest)
        ranges = [(low * lowest, high * highest) for low in _SHRUNK for high in _SHRUNK]
        return min(dict.fromkeys(ranges), key=lambda one: _error(self.samples, *one))

    @property
    def wide(self) -> tuple[float, float]:
        """The range to spread 16 bits over: half as wide again as what was seen."""
        return _WIDENED * min(0.0, self.lowest), _WIDENED * max(0.0, self.highest)


def observe(
    model: onnx.ModelProto, names: Collection[str], inputs: Iterable[Mapping[str, Array]]
) -> dict[str, Observed]:
    """Runs a graph frame by frame and looks at some of its float32 tensors.

    Args:
        model: the graph.
        names: of tensors that nodes make, or inputs.
        inputs: of each frame; see `autoisp_isp.edge.shots.graph_inputs`.

    Raises:
        FailedPreconditionError: reason OUTPUT_NOT_FINITE, a tensor has values that are no numbers.
    """
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    given = {value.name for value in model.graph.input}
    known = {value.name for value in model.graph.output}
    wanted = sorted(set(names) - given)
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in known)
    session = open_session(probe.SerializeToString(), 1)
    seen: dict[str, list[tuple[float, float, Array]]] = {name: [] for name in sorted(names)}
    for frame in inputs:
        values = dict(zip(wanted, session.run(wanted, dict(frame)), strict=True)) | dict(frame)
        for name, parts in seen.items():
            parts.append(_look(name, values[name]))
    return {
        name: Observed(
            min(low for low, _, _ in parts),
            max(high for _, high, _ in parts),
            np.concatenate([samples for _, _, samples in parts]),
        )
        for name, parts in seen.items()
    }


def _look(name: str, values: Array) -> tuple[float, float, Array]:
    lowest, highest = float(values.min()), float(values.max())
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        raise FailedPreconditionError(
            f"tensor {name!r} has values that are no numbers (NaN or infinite) on calibration frames; train "
            "the network with another seed",
            reason="OUTPUT_NOT_FINITE",
        )
    return lowest, highest, values.ravel()[:: max(1, values.size // _SAMPLES)].copy()


def _error(samples: Array, lowest: float, highest: float) -> float:
    step = (highest - lowest) / 255
    if step <= 0:
        return float(np.mean(np.square(samples)))
    first = np.round(-lowest / step)
    codes = np.clip(np.round(samples / step) + first, 0, 255)
    return float(np.mean(np.square((codes - first) * step - samples)))
