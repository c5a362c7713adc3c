"""The commands that look at what is there, with a stand-in for the services."""

import json
from contextlib import contextmanager

import pytest
from autoisp.search.v1 import search_pb2
from autoisp_cli.__main__ import main
from autoisp_cli.commands import datasets, searches


class Services:
    """A client of services that hold one search."""

    def __init__(self):
        self.search = search_pb2.Search(name="searches/s", state=search_pb2.SEARCH_STATE_PROFILING)
        self.deleted = []

    def get_search(self, name):
        assert name == self.search.name
        return self.search

    def delete_dataset(self, name):
        self.deleted.append(name)


@pytest.fixture
def services(monkeypatch):
    services = Services()

    @contextmanager
    def client_for(server, state):
        yield services

    for module in (datasets, searches):
        monkeypatch.setattr(module, "client_for", client_for)
    return services


def test_a_search_that_is_still_profiled_has_no_figures(capsys, services):
    assert main(["searches", "show", "s"]) == 0
    assert "dB" not in capsys.readouterr().out
    services.search.prototype_profile.quality.psnr_db = 28.4
    services.search.macs_per_pixel_limit = 300
    assert main(["searches", "show", "s"]) == 0
    shown = capsys.readouterr().out
    assert "28.40 dB" in shown
    assert "300 MAC/px" in shown


def test_deleting_says_what_was_deleted(capsys, services):
    assert main(["datasets", "delete", "d", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"name": "datasets/d"}
    assert main(["datasets", "delete", "datasets/e"]) == 0
    assert "datasets/e" in capsys.readouterr().out
    assert services.deleted == ["datasets/d", "datasets/e"]
