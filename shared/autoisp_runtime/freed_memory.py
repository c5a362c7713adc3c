"""Memory that is freed and taken again thousands of times a second."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_KEPT_BYTES = 16 << 20
_LARGEST_BYTES = 4 << 20


def keep_freed_memory() -> bool:
    """Have the C library keep up to 16 MiB of what is freed, and give buffers of up to 4 MiB from it.

    By default glibc gives the system what was freed behind the last block in use, and takes it anew: every
    message with half a MiB in it then costs hundreds of page faults, twenty times what copying it does.

    Returns:
        False if it is another library, which does as it likes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_BYTES) and mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES))
