"""Which devices come first: a stable hash puts every device at a place of its own in an order."""

from __future__ import annotations

import hashlib
import math

from autoisp_core.errors import InvalidArgumentError

WHOLE = 1_000_000
"""All devices: shares are whole millionths, steps of 0.0001 %."""

_PLACES = 1 << 64


def place(order: str, device_id: str) -> int:
    """Where a device is in an order, 0 to 2^64 - 1; the same everywhere and for ever.

    The first 8 bytes of SHA-256 of ``{order}/{device_id}`` as UTF-8, big-endian.

    Args:
        order: the name of the order: a cohort, or the id of a rollout that has an order of its own.

    >>> place("spring", "device-1") == place("spring", "device-1")
    True
    """
    return int.from_bytes(hashlib.sha256(f"{order}/{device_id}".encode()).digest()[:8])


def end_of(share: int) -> int:
    """The first place that is not in a share: ``place < end_of(share)`` is ``place/2^64 < share/10^6``.

    >>> end_of(WHOLE) == 2**64
    True
    """
    return -(-share * _PLACES // WHOLE)


def share_from(percent: float, field: str) -> int:
    """The share in millionths.

    Raises:
        InvalidArgumentError: ``percent`` is not 0 to 100 in steps of 0.0001.

    >>> share_from(12.5, "percent")
    125000
    """
    if not (math.isfinite(percent) and 0 <= percent <= 100):
        raise InvalidArgumentError(field, f"{field} is {percent}; give 0 to 100")
    share = round(percent * 10_000)
    # A decimal such as 0.0003 has no exact double: allow what reading one can be off by.
    if abs(percent * 10_000 - share) > 1e-6:
        raise InvalidArgumentError(field, f"{field} is {percent}; give it in steps of 0.0001")
    return share


def percent_of(share: int) -> float:
    """The percentage of a share in millionths."""
    return share / 10_000
