"""A search that runs while something breaks, and what must be true of it at the end."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from autoisp.ingest.v1 import ingest_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp.search.v1 import search_pb2, search_pb2_grpc
from autoisp_client import Client
from autoisp_core.spec import Spec
from autoisp_isp.export import export_onnx
from autoisp_isp.network import build
from autoisp_testing.scenes import moving_scene, write_video

from faulty import ledger
from faulty.system import SERVICES, System

SEARCH_ID = "faults"
NAME = f"searches/{SEARCH_ID}"
_LOOK_S = 0.1
_ENDED = (
    search_pb2.TRIAL_STATE_SUCCEEDED,
    search_pb2.TRIAL_STATE_FAILED,
    search_pb2.TRIAL_STATE_PRUNED,
    search_pb2.TRIAL_STATE_CANCELLED,
)
_OVER = (
    search_pb2.SEARCH_STATE_SUCCEEDED,
    search_pb2.SEARCH_STATE_FAILED,
    search_pb2.SEARCH_STATE_CANCELLED,
)


@dataclass
class Seen:
    """What an onlooker saw, at monotonic times.

    Attributes:
        recorded: how many trials had ended.
        running: which trials ran, whenever that changed.
        ended: when each trial was first seen to have ended.
        healthy: whether all services were.
    """

    recorded: list[tuple[float, int]] = field(default_factory=list)
    running: list[tuple[float, frozenset[str]]] = field(default_factory=list)
    ended: dict[str, float] = field(default_factory=dict)
    healthy: list[tuple[float, bool]] = field(default_factory=list)


class Tuning:
    """One search of one rung, so that its trials and its winner don't depend on who was quicker."""

    def __init__(self, system: System, trials: int, steps: int) -> None:
        self._system = system
        self._trials = trials
        self._steps = steps
        self.seen = Seen()
        self._over = threading.Event()
        self._onlookers = [
            threading.Thread(target=target, daemon=True) for target in (self._look, self._probe)
        ]

    @property
    def recorded(self) -> int:
        """How many trials the search service has recorded as ended, as far as is known."""
        return self.seen.recorded[-1][1] if self.seen.recorded else 0

    def start(self, folder: Path) -> None:
        """Upload three tiny clips and a quick network as the prototype; start the search, and watching it."""
        splits = (ingest_pb2.SPLIT_TRAIN, ingest_pb2.SPLIT_VALIDATION, ingest_pb2.SPLIT_TEST)
        folder.mkdir(parents=True, exist_ok=True)
        with Client(self._system.endpoints, patience=30) as client:
            clips = []
            for seed, split in enumerate(splits):
                clip = client.upload_clip(write_video(folder / f"{seed}.mp4", moving_scene(seed=seed)))
                clips.append(ingest_pb2.DatasetClip(clip=clip.name, split=split))
            dataset = client.create_dataset(clips)
            stand_in = folder / "prototype.onnx"
            spec = Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), width=32)
            stand_in.write_bytes(export_onnx(build(spec)))
            search = search_pb2.Search(
                dataset=dataset.name,
                prototype=prototype_pb2.Prototype(onnx=client.upload_artifact(stand_in)),
                budget=search_pb2.Budget(macs_per_pixel=3000),
                rungs=[search_pb2.Rung(trials=self._trials, steps=self._steps)],
                max_parallel_trials=8,  # more than workers: some always wait in the queue
                validation_frames_per_clip=2,
                test_frames_per_clip=2,
                strategy="random",
                objectives=["quality", "macs"],
                seed=1,
            )
            client.create_search(search, search_id=SEARCH_ID)
        for onlooker in self._onlookers:
            onlooker.start()

    def until(self, recorded: int, timeout_s: float = 300.0) -> None:
        """Wait until so many trials are recorded.

        Raises:
            TimeoutError: they were not.
        """
        deadline = time.monotonic() + timeout_s
        while self.recorded < recorded:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.recorded} of {recorded} trials are recorded; {self._system.notes}")
            time.sleep(_LOOK_S / 2)

    def one_more(self) -> None:
        """Wait until one more trial is recorded than now.

        Raises:
            RuntimeError: all are already, so nothing can be seen any more; the search was too short.
            TimeoutError: it was not.
        """
        if self.recorded >= self._trials:
            raise RuntimeError(f"all {self._trials} trials are recorded before the fault is over")
        self.until(self.recorded + 1)

    def in_mid_trial(self, timeout_s: float = 300.0) -> str:
        """Wait for the first checkpoint of a trial that goes on; the name of its worker.

        Raises:
            TimeoutError: none came.
        """
        checkpoints = self._system.folder / "state/artifacts/results/checkpoints" / SEARCH_ID
        deadline = time.monotonic() + timeout_s
        with Client(self._system.endpoints) as client:
            while time.monotonic() < deadline:
                for trial in client.list_trials(NAME):
                    running = trial.state == search_pb2.TRIAL_STATE_RUNNING and trial.worker
                    if running and (checkpoints / trial.name.rsplit("/", 1)[-1]).exists():
                        return str(trial.worker)
                time.sleep(0.02)
        raise TimeoutError("no trial left a checkpoint")

    def finish(
        self, timeout_s: float, *, registered: bool = True, dead_letters: int = 0
    ) -> dict[str, object]:
        """Wait for the end of search, evaluation and registration; what was missing, and what was twice.

        Args:
            timeout_s: for all of it.
            registered: whether there will be a version.
            dead_letters: so many are waited for: workers look for conversions once they are idle.

        Raises:
            TimeoutError: it did not end.
        """
        deadline = time.monotonic() + timeout_s
        with Client(self._system.endpoints, patience=60) as client:
            while (search := client.get_search(NAME)).state not in _OVER:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the search did not end: {search}")
                time.sleep(0.3)
            trials = list(client.list_trials(NAME))
            versions = self._versions(client, search.model, deadline) if registered else 0
        self._over.set()
        for onlooker in self._onlookers:
            onlooker.join()
        while (kept := ledger.read(self._system, SEARCH_ID)).dead_letters < dead_letters:
            if time.monotonic() > deadline:
                break
            time.sleep(1)
        winner = next((trial for trial in trials if trial.name == search.best_trial), search_pb2.Trial())
        return {
            "succeeded": search.state == search_pb2.SEARCH_STATE_SUCCEEDED,
            "trials": len(kept.trials),
            "failed": [
                f"{trial.name}: {trial.failure.reason}"
                for trial in trials
                if trial.state != search_pb2.TRIAL_STATE_SUCCEEDED
            ],
            "lost": len(kept.lost(self._trials)),
            "recorded_twice": len(kept.recorded_twice()),
            "wrong": [*kept.lost(self._trials), *kept.recorded_twice()],
            "versions": versions,
            "results": len(kept.results),
            "done_again": kept.done_again,
            "announced_again": kept.announced_again,
            "resumed": self._counted('"resuming"'),
            "found_recorded": self._counted('"recorded already'),
            "reports": kept.reports,
            "dead_letters": kept.dead_letters,
            "winner": winner.spec,
            "winner_psnr_db": round(winner.quality.psnr_db, 4),
        }

    def recovery(self, struck_at: float, ended_at: float) -> dict[str, float | None]:
        """Seconds from the fault's end to the next recorded trial, and until all services were healthy.

        ``trials_during`` of the trials were recorded while the fault lasted, ``trials_after`` after it. Those
        that were running at its end, ``in_hand``, were all recorded ``in_hand_s`` later.
        """
        at_first = max((count for at, count in self.seen.recorded if at <= struck_at), default=0)
        before = max((count for at, count in self.seen.recorded if at <= ended_at), default=0)
        next_trial = next((at for at, count in self.seen.recorded if at > ended_at and count > before), None)
        in_hand = next((names for at, names in reversed(self.seen.running) if at <= ended_at), frozenset())
        in_hand_ended = [self.seen.ended.get(name, ended_at) for name in in_hand]
        # A round that began before the end says nothing of the time after it.
        healthy = next((at for at, well in self.seen.healthy if at > ended_at and well), None)
        return {
            "trials_during": before - at_first,
            "trials_after": self.recorded - before,
            "in_hand": len(in_hand),
            "in_hand_s": round(max(in_hand_ended) - ended_at, 2) if in_hand else None,
            "next_trial_s": None if next_trial is None else round(next_trial - ended_at, 2),
            "serving_s": None if healthy is None else round(healthy - ended_at, 2),
        }

    def _versions(self, client: Client, model: str, deadline: float) -> int:
        """How many versions the search registered; waits for the first."""
        while True:
            try:
                found = len(list(client.list_model_versions(model)))
            except Exception:  # not there yet
                found = 0
            if found or time.monotonic() > deadline:
                return found
            time.sleep(0.3)

    def _counted(self, phrase: str) -> int:
        return sum(len(re.findall(phrase, self._system.log(name))) for name in self._system.workers)

    def _look(self) -> None:
        before = None
        while not self._over.wait(_LOOK_S):
            try:
                with grpc.insecure_channel(self._system.address("search")) as channel:
                    stub = search_pb2_grpc.SearchServiceStub(channel)
                    counts = stub.GetSearch(search_pb2.GetSearchRequest(name=NAME), timeout=2).trial_counts
                    if counts != before:
                        self._list(stub)
            except grpc.RpcError:
                continue
            before = counts
            ended = counts.succeeded + counts.failed + counts.pruned
            self.seen.recorded.append((time.monotonic(), ended))

    def _list(self, stub: search_pb2_grpc.SearchServiceStub) -> None:
        trials = stub.ListTrials(search_pb2.ListTrialsRequest(parent=NAME, page_size=1000), timeout=2).trials
        running = (trial.name for trial in trials if trial.state == search_pb2.TRIAL_STATE_RUNNING)
        self.seen.running.append((time.monotonic(), frozenset(running)))
        for trial in trials:
            if trial.state in _ENDED:
                self.seen.ended.setdefault(trial.name, time.monotonic())

    def _probe(self) -> None:
        while not self._over.wait(_LOOK_S):
            self.seen.healthy.append(
                (time.monotonic(), all(self._system.serving(service) for service in SERVICES))
            )
