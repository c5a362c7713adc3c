"""Buffers of messages are not asked of the system again and again."""

from __future__ import annotations

import subprocess
import sys

import pytest
from autoisp_runtime.freed_memory import keep_freed_memory

FAULTS = """
import resource, sys
from autoisp.registry.v1 import registry_pb2
from autoisp_runtime.freed_memory import keep_freed_memory
if sys.argv[1:]:
    keep_freed_memory()
chunk = bytes(1 << 19)
def work():
    for _ in range(50):
        registry_pb2.DownloadArtifactResponse(chunk=chunk).SerializeToString()
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*words: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, *words], capture_output=True, text=True, check=True, timeout=60
    )
    return int(done.stdout)


@pytest.mark.skipif(not keep_freed_memory(), reason="another C library")
def test_messages_take_the_memory_of_those_before() -> None:
    assert faults("keep") < 500
    assert faults() > 2500  # or there is nothing to do any more
