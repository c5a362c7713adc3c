"""What processes of AutoISP may be told: their configuration, by the command that starts them."""

from __future__ import annotations

from collections.abc import Mapping

from autoisp_evaluation.config import EvaluationConfig
from autoisp_ingest.config import IngestConfig
from autoisp_registry.config import RegistryConfig
from autoisp_runtime.config import PREFIX, ServiceConfig
from autoisp_runtime.jetstream.__main__ import TopologyConfig
from autoisp_runtime.migrate import MigrateConfig
from autoisp_search.config import SearchConfig
from autoisp_worker.config import WorkerConfig
from autoisp_worker.live.config import LiveConfig

CONFIGS: Mapping[str, type[ServiceConfig]] = {
    "autoisp_ingest": IngestConfig,
    "autoisp_search": SearchConfig,
    "autoisp_evaluation": EvaluationConfig,
    "autoisp_registry": RegistryConfig,
    "autoisp_worker": WorkerConfig,
    "autoisp_worker.live": LiveConfig,
    "autoisp_runtime.migrate": MigrateConfig,
    "autoisp_runtime.jetstream": TopologyConfig,
}
CONTROL = ("autoisp_ingest", "autoisp_search", "autoisp_evaluation", "autoisp_registry")
COMPUTE = ("autoisp_worker", "autoisp_worker.live")
# What other programs in the same containers read.
FOREIGN = {
    *("AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    "OTEL_EXPORTER_OTLP_ENDPOINT",
}


def module_of(command: list[str]) -> str:
    """``python -m MODULE …``."""
    assert command[:2] == ["python", "-m"], command
    return command[2]


def check_environment(module: str, told: Mapping[str, str | None]) -> ServiceConfig:
    """Every variable is one that the process reads, every value one that it takes, and none is missing.

    A value None is one that only the cluster knows.
    """
    config = CONFIGS[module]
    names = {name for name in told if name not in FOREIGN}
    known = {PREFIX + field.upper() for field in config.model_fields}
    assert names <= known, f"{module} reads no {sorted(names - known)}"
    needed = {"AUTOISP_NATS_URL"}
    if module in CONTROL or module in COMPUTE:
        needed |= {"AUTOISP_STORE_URL", "AWS_REGION"}
    if module in COMPUTE:
        needed |= {"AUTOISP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}
        assert told["OMP_NUM_THREADS"] == told["OPENBLAS_NUM_THREADS"] == told["AUTOISP_THREADS"]
    if module in (*CONTROL, "autoisp_runtime.migrate"):
        needed |= {"AUTOISP_DATABASE_URL"}
    else:
        assert "AUTOISP_DATABASE_URL" not in told, f"{module} has no business in the database"
    assert needed <= told.keys(), f"{module} isn't told {sorted(needed - told.keys())}"
    given = {name.removeprefix(PREFIX).lower(): told[name] for name in names if told[name] is not None}
    return config(**given)
