"""The commands that look at what is there, with a stand-in for the services."""

import json
from contextlib import contextmanager

import pytest
from autoisp.ingest.v1 import ingest_pb2
from autoisp.search.v1 import search_pb2
from autoisp_cli.__main__ import main
from autoisp_cli.commands import clips, datasets, searches
from autoisp_client import UploadProgress


class Services:
    """A client of services that hold one search."""

    def __init__(self):
        self.search = search_pb2.Search(name="searches/s", state=search_pb2.SEARCH_STATE_PROFILING)
        self.trials = []
        self.deleted = []

    def get_search(self, name):
        assert name == self.search.name
        return self.search

    def list_searches(self):
        return iter([self.search])

    def get_trial(self, name):
        return next(trial for trial in self.trials if trial.name == name)

    def list_trials(self, search):
        assert search == self.search.name
        return iter(self.trials)

    def delete_dataset(self, name):
        self.deleted.append(name)

    delete_clip = delete_dataset

    def clip(self, title):
        clip = ingest_pb2.Clip(name="clips/c1", display_name=title, width=96, height=64, frame_count=12)
        clip.format.kind, clip.format.bit_depth = ingest_pb2.FrameFormat.KIND_BAYER, 10
        clip.format.cfa, clip.frame_rate, clip.source_size_bytes = "RGGB", 25, 1234567
        return clip

    def list_clips(self):
        return iter([self.clip("street")])

    def get_clip(self, name):
        assert name == "clips/c1"
        return self.clip("street")

    def upload_clip(self, path, on_progress):
        on_progress(UploadProgress(1, 2, 1e6, 0))
        return self.clip(path.name)

    def import_clip(self, uri, display_name, sha256):
        self.imported = (uri, display_name, sha256)
        return self.clip(display_name or uri)


@pytest.fixture
def services(monkeypatch):
    services = Services()

    @contextmanager
    def client_for(server, state):
        yield services

    for module in (clips, datasets, searches):
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


def test_a_search_shows_its_strategy_and_its_front(capsys, services):
    search = services.search
    search.strategy, search.seed = "blockqnn", 4
    search.objectives[:] = ["quality", "latency"]
    search.strategy_figures["epsilon"] = 0.25
    search.warm_start.append("searches/before")
    search.rungs.add(trials=8, seconds=12)
    for name, psnr in (("a", 25.0), ("b", 27.5)):
        trial = search_pb2.Trial(name=f"searches/s/trials/{name}", state=search_pb2.TRIAL_STATE_SUCCEEDED)
        trial.quality.psnr_db, trial.cost.macs_per_pixel = psnr, 40 * psnr
        services.trials.append(trial)
        search.pareto_trials.append(trial.name)
    services.trials.append(search_pb2.Trial(name="searches/s/trials/c", rung=1))
    assert main(["searches", "show", "s"]) == 0
    shown = capsys.readouterr().out
    for words in (
        *("blockqnn, seed 4", "quality, latency", "8 × 12 s", "epsilon 0.25", "searches/before"),
        *("a: 25.00 dB at 1\u202f000 MAC/px", "b: 27.50 dB at 1\u202f100 MAC/px"),
    ):
        assert words in shown
    assert main(["searches", "list"]) == 0
    (line,) = capsys.readouterr().out.splitlines()[1:]
    assert line.split()[:6] == ["searches/s", "profiling", "blockqnn", "quality,", "latency", "0"]
    assert main(["searches", "trials", "s"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [("◆" in row, row.split()[1]) for row in rows] == [(True, "1"), (True, "1"), (False, "2")]


def test_of_a_long_front_the_rest_is_counted(capsys, services):
    trial = search_pb2.Trial(name="searches/s/trials/a", state=search_pb2.TRIAL_STATE_SUCCEEDED)
    services.trials.append(trial)
    services.search.pareto_trials.extend([trial.name] * 23)
    assert main(["searches", "show", "s"]) == 0
    assert "and 3 more: autoisp searches trials s" in capsys.readouterr().out


def test_deleting_says_what_was_deleted(capsys, services):
    assert main(["datasets", "delete", "d", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"name": "datasets/d"}
    assert main(["datasets", "delete", "datasets/e"]) == 0
    assert "datasets/e" in capsys.readouterr().out
    assert services.deleted == ["datasets/d", "datasets/e"]


def test_clips_are_uploaded_imported_and_shown(capsys, services):
    assert main(["clips", "upload", "a.mp4", "b.mp4"]) == 0
    shown = capsys.readouterr()
    assert shown.out.count("clips/c1") == 2
    assert shown.err == ""  # no bar into a pipe
    assert "b.mp4" in shown.out
    assert "1,234,567 bytes" in shown.out
    assert main(["clips", "import", "file:///a.mp4", "--name", "A", "--sha256", "0" * 64, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["display_name"] == "A"
    assert services.imported == ("file:///a.mp4", "A", "0" * 64)
    assert main(["clips", "show", "c1"]) == 0
    assert "10-bit RGGB" in capsys.readouterr().out
    assert main(["clips", "list"]) == 0
    assert "street" in capsys.readouterr().out
    assert main(["clips", "delete", "c1"]) == 0
    assert services.deleted == ["clips/c1"]
