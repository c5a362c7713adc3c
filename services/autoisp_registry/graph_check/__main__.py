"""``python -m autoisp_registry.graph_check SIZE CPU_SECONDS``: looks at the ONNX file on standard input.

Answers ``{"problem": "..."}`` on standard output, empty if it is a network of the model contract. It bounds
its own memory and time first, opens no file, and may die of what it is fed.
"""

from __future__ import annotations

import json
import resource
import sys

_BASE_BYTES = 3 << 29
_BYTES_PER_BYTE = 5  # the file, its message, and both again in the checker
_OUT_OF_MEMORY = 3


def main() -> int:
    """Check; returns the exit code."""
    size, cpu_seconds = int(sys.argv[1]), int(sys.argv[2])
    _limit(resource.RLIMIT_AS, _BASE_BYTES + _BYTES_PER_BYTE * size)
    _limit(resource.RLIMIT_CPU, cpu_seconds)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    try:
        from autoisp_registry.graph_check.rules import problem_of

        data = sys.stdin.buffer.read(size + 1)
        problem = problem_of(data)
    except MemoryError:
        return _OUT_OF_MEMORY
    sys.stdout.write(json.dumps({"problem": problem}))
    return 0


def _limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    resource.setrlimit(what, (value, value if hard == resource.RLIM_INFINITY else min(value, hard)))


if __name__ == "__main__":
    sys.exit(main())
