"""How long a network will take, from its spec."""

from __future__ import annotations

from autoisp_core.spec import Spec, cost

_MACS_PER_SECOND = 48e9
_BYTES_PER_SECOND = 14e9
"""One thread of an AVX-512 server core in ONNX Runtime. Fitted to 166 random networks of 80 to 3,000 MAC per
pixel: predictions scatter by 14 % around what was measured, those from MAC alone by 41 %. Other machines are
slower or faster by a factor, which measurements soon tell."""

_LANES, _BLOCK, _UNBLOCKED = 16, 8, 1.5
_CCM_MACS, _COLOURS = 9, 3
_PIXELS = 1e6
_WINDOW = 24
_PRIOR_VOTES = (1.0,)  # the first measurement alone does not decide: it may be a hiccup
_QUANTILE = 0.6  # rather a little too slow: what is over the budget costs a second and gives nothing


class LatencyModel:
    """Arithmetic in full vector lanes plus memory traffic, times a factor for the machine."""

    def __init__(self) -> None:
        self._factors = list(_PRIOR_VOTES)

    def predict(self, spec: Spec) -> float:
        """Seconds per output megapixel at one thread."""
        factors = sorted(self._factors[-_WINDOW:])
        return factors[int(_QUANTILE * (len(factors) - 1))] * reference_seconds(spec)

    def measured(self, spec: Spec, seconds_per_megapixel: float) -> None:
        """Learn how fast this machine is."""
        self._factors.append(seconds_per_megapixel / reference_seconds(spec))


def reference_seconds(spec: Spec) -> float:
    """Seconds per output megapixel on the machine that the constants are of."""
    priced = cost(spec)
    head = spec.head_kernel**2 * spec.width * _COLOURS
    others = priced.macs_per_pixel - _CCM_MACS - head
    macs = others * _lanes(spec.width) + head * _lanes(_COLOURS * spec.packing**2)
    return _PIXELS * (macs / _MACS_PER_SECOND + priced.bytes_per_pixel / _BYTES_PER_SECOND)


def _lanes(channels: int) -> float:
    """MACs done for each one wanted: output channels fill lanes, and odd counts miss the blocked kernels."""
    filled = -(-channels // _LANES) * _LANES / channels
    return filled if channels % _BLOCK == 0 else filled * _UNBLOCKED
