"""How long a network will take, from its spec."""

from __future__ import annotations

import math
import operator
from collections import Counter, deque
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from autoisp_core.spec import Cost, Layer, LayerType, Spec, cost

_MACS_PER_SECOND = 48e9
_BYTES_PER_SECOND = 14e9
"""One thread of an AVX-512 server core in ONNX Runtime. Fitted to 166 random networks of 80 to 3,000 MAC per
pixel: predictions scatter by 14 % around what was measured, those from MAC alone by 41 %. Other machines are
slower or faster by a factor, which measurements soon tell."""

_LANES, _BLOCK, _UNBLOCKED = 16, 8, 1.5
_CCM_MACS, _COLOURS = 9, 3
_PIXELS = 1e6
_WINDOW = 24
_PRIOR_FACTOR = 1.0  # the first measurement alone does not decide: it may be a hiccup
_QUANTILE = 0.6  # rather a little too slow: what is over the budget costs a second and gives nothing


class LatencyModel:
    """Arithmetic in full vector lanes plus memory traffic, corrected by what was measured on this device.

    A factor for the machine, and a small linear correction (of the logarithm) for what it does well or badly:
    depthwise convolutions, pools, packings, …. On 862 networks of one space, in random order, the median
    error of a prediction made before its measurement is 9 % with the factor alone; with the correction it is
    6 % over the first 50 networks and 4 % over 300.
    """

    def __init__(self) -> None:
        self._factors = deque((_PRIOR_FACTOR,), maxlen=_WINDOW)
        self._factor = _PRIOR_FACTOR
        self._correction = _Correction()

    def predict(self, spec: Spec) -> float:
        """Seconds per output megapixel at one thread."""
        priced = cost(spec)
        correction = self._correction.of(_features(spec, priced))
        return self._factor * _reference(spec, priced) * math.exp(correction)

    def measured(self, spec: Spec, seconds_per_megapixel: float) -> None:
        """Learn how fast this machine is."""
        priced = cost(spec)
        features, observed = _features(spec, priced), seconds_per_megapixel / _reference(spec, priced)
        correction = self._correction.of(features)
        # What the factor does not know yet is no news of the features.
        if len(self._factors) > _SETTLED:
            surprise = math.log(observed / self._factor) - correction
            self._correction.learn(features, max(-_MOST_SURPRISE, min(_MOST_SURPRISE, surprise)))
        self._factors.append(observed / math.exp(correction))
        self._factor = sorted(self._factors)[int(_QUANTILE * (len(self._factors) - 1))]


class _Correction:
    """Recursive least squares with small weights as its prior belief."""

    def __init__(self) -> None:
        self._weights = [0.0] * _FEATURES
        self._doubt = _PRIOR_VARIANCE * np.eye(_FEATURES)

    def of(self, features: Sequence[float]) -> float:
        # Thousands of candidates are looked at for each that is tried: for so few terms, numpy takes longer.
        return float(sum(map(operator.mul, self._weights, features)))

    def learn(self, features: Sequence[float], surprise: float) -> None:
        """Take in by how much the logarithm of a measurement differed from what had been expected."""
        values = np.array(features)
        gain = self._doubt @ values
        certainty = _NOISE_VARIANCE + float(values @ gain)
        self._weights = [float(weight) for weight in self._weights + gain * (surprise / certainty)]
        self._doubt -= np.outer(gain, gain) / certainty


def reference_seconds(spec: Spec) -> float:
    """Seconds per output megapixel on the machine that the constants are of."""
    return _reference(spec, cost(spec))


def _reference(spec: Spec, priced: Cost) -> float:
    head = spec.head_kernel**2 * spec.width * _COLOURS
    others = priced.macs_per_pixel - _CCM_MACS - head
    macs = others * _lanes(spec.width) + head * _lanes(_COLOURS * spec.packing**2)
    return _PIXELS * (macs / _MACS_PER_SECOND + priced.bytes_per_pixel / _BYTES_PER_SECOND)


def _lanes(channels: int) -> float:
    """MACs done for each one wanted: output channels fill lanes, and odd counts miss the blocked kernels."""
    filled = -(-channels // _LANES) * _LANES / channels
    return filled if channels % _BLOCK == 0 else filled * _UNBLOCKED


_SHARES = (
    (LayerType.CONV, LayerType.DYNAMIC),
    (LayerType.DEPTHWISE,),
    (LayerType.GROUPED,),
    (LayerType.MAX_POOL, LayerType.AVG_POOL),
    (LayerType.ADD, LayerType.CONCAT, LayerType.GATE),
    (LayerType.COARSE,),
)
_WIDE_KERNEL = 5
_USUAL_WIDTH, _USUAL_MACS = 16, 500
_FEATURES = 13 + len(_SHARES)
_PRIOR_VARIANCE, _NOISE_VARIANCE, _MOST_SURPRISE = 0.05, 0.2**2, 0.3
_SETTLED = 5


def _features(spec: Spec, priced: Cost) -> tuple[float, ...]:
    """What a device may be better or worse at than the reference, in units of about one."""
    return (
        spec.packing == 4,
        spec.packing == 8,
        spec.frames / 5,
        spec.stem_kernel > 1,
        spec.head_kernel > 1,
        spec.recurrent,
        spec.residual,
        spec.head,
        math.log(spec.repeats),
        math.log(spec.width / _USUAL_WIDTH),
        spec.width % _LANES != 0,
        math.log(priced.macs_per_pixel / _USUAL_MACS),
        *_block_features(spec.block),
    )


@lru_cache(maxsize=1024)
def _block_features(block: tuple[Layer, ...]) -> tuple[float, ...]:
    layers = block[:-1]
    kinds = Counter(layer.type for layer in layers)
    wide = sum(layer.kernel >= _WIDE_KERNEL for layer in layers)
    return tuple(
        count / len(layers) for count in (wide, *(sum(kinds[k] for k in alike) for alike in _SHARES))
    )
