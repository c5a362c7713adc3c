"""Ports for test servers."""

from __future__ import annotations

import socket

import pytest
from autoisp_testing import ports
from autoisp_testing.ports import free_ports


def test_ports_are_different_free_and_none_that_the_kernel_gives_out() -> None:
    with socket.socket() as given:
        given.bind(("127.0.0.1", 0))
        lowest_given = ports._ephemeral_ports()
        assert given.getsockname()[1] >= lowest_given

    found = free_ports(20)

    assert len(set(found)) == 20
    assert all(1024 < port < lowest_given for port in found)
    for port in found:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", port))


def test_ports_in_use_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    [free, used] = free_ports(2)
    monkeypatch.setattr(ports.random, "sample", lambda _range, _count: [used, free])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", used))

        assert free_ports(1) == [free]
        with pytest.raises(OSError, match="1 of 2 ports are free"):
            free_ports(2)
