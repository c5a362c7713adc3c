"""Plays the workloads of the overlay dev with podman: their pods as they are, without a cluster around them."""

from __future__ import annotations

import copy
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from compose_engine import ROOT, Engine
from manifests import build_overlay, named, workloads
from compose_steps import Steps, wait_for

Manifest = dict[str, Any]

NETWORK = "autoisp-kube"
STANDIN = "localhost/autoisp-standin-{}"
# What podman has no part for: another's disruption, spreading, and probes that it neither has nor needs.
_NO_CLUSTER = ("topologySpreadConstraints", "serviceAccountName", "terminationGracePeriodSeconds")
_PROBES = ("startupProbe", "livenessProbe", "readinessProbe", "lifecycle")


def play_dev_overlay(engine: Engine, steps: Steps, control: str, compute: str, *, standins: bool) -> None:
    """Starts the overlay's pods and jobs, waits until they are healthy, takes them down."""
    images = {"autoisp-control": control, "autoisp-compute": compute}
    with tempfile.TemporaryDirectory() as folder:
        played = pods(build_overlay("dev"), images, standins=standins)
        with steps.step("play the workloads of the overlay dev") as details, _network(engine):
            try:
                for pod in played:
                    _play(engine, Path(folder), pod, played[pod])
                details.append(f"{len(played)} pods")
                for job in ("migrate", "topology"):
                    wait_for(f"the job {job}", lambda job=job: _exit_code(engine, job) == 0, 120)
                serving = [
                    name for name in played if name.startswith(("ingest", "search", "evaluation", "registry"))
                ]
                serving += [name for name in played if name.startswith(("live", "worker"))]
                for name in serving:
                    wait_for(f"{name}'s readiness", lambda name=name: _ready(engine, name), 120)
                details.append(f"jobs migrate and topology ended with 0, {len(serving)} processes serve")
            finally:
                for pod in played:
                    engine("pod", "rm", "--force", "--time", "5", pod, check=False)
                for volume in _claims(build_overlay("dev")):
                    engine("volume", "rm", "--force", volume, check=False)
