"""A model with versions, a log and a channel with a rollout, as a registry tells them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from autoisp.registry.v1 import registry_pb2 as wire
from autoisp.registry.v1 import rollouts_pb2

SHA = "4f3c2b1a" * 8
CHECKS = [
    "psnr_model: passed, 31.24 dB >= 28.91 dB (psnr_prototype), by +2.33 dB",
    "macs_per_pixel: passed, 2,881 MAC <= 3,600 MAC (limit)",
    "clips_judged: passed, 3 of 3",
]
REFUSED = [
    "psnr: failed, 31.24 dB < 32.00 dB",
    "ssim: passed, 0.9123 >= 0.9000",
    "clips_judged: passed, 3 of 3",
]
CARD = """# night, version 3

Denoises and demosaics raw video of *phone* sensors.

| metric | network | prototype |
| --- | ---: | ---: |
| PSNR | 31.24 dB | 28.91 dB |
| SSIM | 0.9123 | 0.8820 |

## Limits

Judged on 3 clips. Not for other sensors.
"""


def at(minute: int) -> datetime:
    """A minute of an afternoon."""
    return datetime(2026, 11, 30, 14, minute, 11, tzinfo=UTC)


def model(**fields: Any) -> wire.Model:
    """``models/night`` with a champion."""
    found = wire.Model(
        name="models/night",
        latest_version=4,
        aliases={"champion": 3, "candidate": 4},
        tags={"sensor": "phone", "site": "lab"},
        **fields,
    )
    found.update_time.FromDatetime(at(2))
    found.create_time.FromDatetime(at(0))
    return found


def version(number: int = 3, **fields: Any) -> wire.ModelVersion:
    """A version with figures, a gate, and formats for devices."""
    found = wire.ModelVersion(
        name=f"models/night/versions/{number}",
        aliases={3: ["champion"], 4: ["candidate"]}.get(number, []),
        metrics={
            "psnr_model": 28.24 + number,
            "psnr_prototype": 28.91,
            "ssim_model": 0.9123,
            "ssim_prototype": 0.8820,
            "macs_per_pixel": 2881.0,
            "mac_ratio": 104.2,
            "seconds_per_megapixel_model": 0.048,
            "latency_ratio": 61.2,
            "parameters": 5310,
        },
        gate=wire.GateResult(passed=True, checks=CHECKS),
        tags={"footage": "winter"},
        **fields,
    )
    found.onnx.sha256, found.onnx.size_bytes = SHA, 24_310
    found.create_time.FromDatetime(at(number))
    for name, size, psnr, loss, shadow in (
        ("onnx-fp32", 24_310, 31.24, 0.0, 0.0),
        ("onnx-fp16", 13_020, 31.24, 0.003, 0.01),
        ("onnx-int8", 9_410, 30.61, 0.63, 1.21),
    ):
        form = found.formats.add(format=name, psnr_loss_db=loss, shadow_loss_db=shadow)
        form.artifact.size_bytes, form.quality.psnr_db = size, psnr
        form.cost.seconds_per_megapixel = 0.048 if name == "onnx-fp32" else 0.031
        form.lints.add(device="phone-npu-10", supported=name == "onnx-int8")
        form.lints.add(device="phone-gpu-3", supported=True)
    failed = found.formats.add(format="executorch-xnnpack")
    failed.failure.reason, failed.failure.message = "NOT_INSTALLED", "the extra 'executorch' is not installed"
    return found


def entry(sequence: int, action: str, summary: str, **fields: Any) -> wire.AuditEntry:
    """An entry of the log."""
    fields = {"actor": "sam", "resource": "models/night/versions/3", **fields}
    found = wire.AuditEntry(sequence=sequence, action=action, summary=summary, **fields)
    found.time.FromDatetime(at(sequence))
    return found


def log() -> list[wire.AuditEntry]:
    """The newest first."""
    return [
        entry(
            21,
            "rollout.start",
            "version 4 to 1 % of the devices",
            resource="products/p-series/channels/stable",
            comment="first the lab",
        ),
        entry(
            20,
            "version.promote",
            "the gate failed: psnr",
            resource="models/night/versions/4",
            refused=True,
            evaluation="evaluations/eval-71c09d3b",
            evidence_sha256=SHA,
            checks=REFUSED,
        ),
        entry(
            19,
            "version.promote",
            "champion is 3, before 2",
            actor="Zoë Müller",
            evaluation="evaluations/eval-0a1b2c3d",
            evidence_sha256=SHA,
            checks=CHECKS,
            comment="better in the dark",
        ),
        entry(18, "version.register", "version 3 of search tune-1", actor="registry"),
    ]


def channel(**fields: Any) -> rollouts_pb2.Channel:
    """``p-series/stable`` with a rollout that is on."""
    found = rollouts_pb2.Channel(
        name="products/p-series/channels/stable", model="models/night", version=3, etag="e1", **fields
    )
    found.constraints.device_profiles.extend(["phone-npu-10", "phone-gpu-3"])
    found.constraints.min_app_version = "3.1"
    rollout = found.rollout
    rollout.rollout_id, rollout.version, rollout.percent = "r-5d2f81", 4, 10
    rollout.state, rollout.cohort = rollouts_pb2.ROLLOUT_STATE_ACTIVE, "early"
    rollout.testers.extend(["phone-17", "phone-18"])
    rollout.outcomes.succeeded, rollout.outcomes.failed = 1204, 9
    rollout.outcomes.failure_reasons.update({"LOAD_FAILED": 6, "TOO_SLOW": 3})
    found.last_rollout.version, found.last_rollout.percent = 3, 100
    found.last_rollout.state = rollouts_pb2.ROLLOUT_STATE_COMPLETED
    found.last_rollout.outcomes.succeeded = 8120
    found.update_time.FromDatetime(at(30))
    return found


def lineage(clips: int = 6) -> wire.LineageGraph:
    """Footage, dataset, prototype, search, trial, evaluation, version, and its formats."""
    graph = wire.LineageGraph()
    kinds = wire.LineageGraph
    for name, kind, label, details in (
        ("datasets/street", kinds.KIND_DATASET, "street", {"clips": str(clips)}),
        ("builtin:classical", kinds.KIND_PROTOTYPE, "builtin:classical", {}),
        ("searches/tune-1", kinds.KIND_SEARCH, "tune-1", {"strategy": "predictor"}),
        ("searches/tune-1/trials/t9", kinds.KIND_TRIAL, "t9", {"psnr": "31.02"}),
        ("evaluations/eval-0a1b", kinds.KIND_EVALUATION, "eval-0a1b", {"psnr": "31.24"}),
        ("models/night/versions/3", kinds.KIND_MODEL_VERSION, "night, version 3", {}),
        (f"sha256:{SHA}", kinds.KIND_ARTIFACT, "onnx-int8", {"bytes": "9410"}),
    ):
        graph.nodes.add(id=name, kind=kind, label=label, details=details)
    for number in range(clips):
        name = f"sha256:{number:064x}"
        graph.nodes.add(
            id=name, kind=kinds.KIND_FOOTAGE, label=f"clip{number}.mp4", details={"split": "train"}
        )
        graph.edges.add(source=name, target="datasets/street", label="contained in")
    for source, target, label in (
        ("datasets/street", "searches/tune-1", "searched on"),
        ("builtin:classical", "searches/tune-1", "taught"),
        ("searches/tune-1", "searches/tune-1/trials/t9", "found"),
        ("searches/tune-1/trials/t9", "models/night/versions/3", "registered"),
        ("datasets/street", "evaluations/eval-0a1b", "judged on"),
        ("evaluations/eval-0a1b", "models/night/versions/3", "judged"),
        ("models/night/versions/3", f"sha256:{SHA}", "converted"),
    ):
        graph.edges.add(source=source, target=target, label=label)
    return graph
