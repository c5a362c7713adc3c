"""The guide's backup of one machine, taken while a search trains, brings everything back."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from autoisp.search.v1 import search_pb2
from autoisp_cli.local import LocalStack
from autoisp_client import Client
from test_faults import SEARCH, start_search, until_in_mid_trial, until_registered

TRIALS = 2  # one that is recorded, one that trains
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "backup.md"


def blocks() -> list[str]:
    found = re.findall(r"^```sh\n(.*?)^```$", GUIDE.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [block for block in found if "$STATE" in block]


def run(block: str, state: Path, backup: Path) -> None:
    environment = {**os.environ, "STATE": str(state), "BACKUP": str(backup)}
    subprocess.run(["bash", "-euc", block], env=environment, check=True, timeout=60)


def judged(client: Client) -> dict[str, tuple[str, float]]:
    return {
        trial.name: (trial.spec, trial.quality.psnr_db)
        for trial in client.list_trials(SEARCH)
        if trial.state == search_pb2.TRIAL_STATE_SUCCEEDED
    }


@pytest.mark.timeout(300)
def test_a_search_goes_on_from_a_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ACK_WAIT_SECONDS": 2, "CHECKPOINT_SECONDS": 0.1}.items():
        monkeypatch.setenv(f"AUTOISP_{name}", str(value))
    state, backup = tmp_path / "state", tmp_path / "backup"
    save, restore = blocks()
    with LocalStack(state, workers=1) as stack, Client(stack.endpoints, patience=20) as client:
        start_search(client, tmp_path, (TRIALS,))
        deadline = time.monotonic() + 120
        while not (before := judged(client)):
            assert time.monotonic() < deadline, "no trial ended"
            time.sleep(0.05)
        until_in_mid_trial(stack)
        run(save, state, backup)
        clips = {clip.name for clip in client.list_clips()}
    shutil.rmtree(state)

    run(restore, state, backup)

    with LocalStack(state, workers=1) as stack, Client(stack.endpoints, patience=20) as client:
        search = until_registered(client)
        after = judged(client)
        trials = list(client.list_trials(SEARCH))
        assert {clip.name for clip in client.list_clips()} == clips
        assert before.items() <= after.items()
        assert len(trials) == len(after) == search.trial_counts.succeeded == TRIALS
        (version,) = client.list_model_versions(search.model)
        assert version.signed_manifest.ByteSize()
