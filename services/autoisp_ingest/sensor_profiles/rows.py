"""Between rows and the domain's dataclasses."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from autoisp_core.noise import Noise
from sqlalchemy import Row

from autoisp_ingest.sensor_profiles.domain import Calibration, Method, SensorProfileVersion, Source
from autoisp_ingest.store.rows import from_us, to_us


def version_to_row(version: SensorProfileVersion) -> dict[str, object]:
    """For an insert into ``sensor_profile_versions``."""
    return {
        "profile_id": version.profile_id,
        "number": version.number,
        "toml": version.toml,
        "source": version.source.value,
        "calibration": None if version.calibration is None else _to_json(version.calibration),
        "request_id": version.request_id or None,  # any number of versions may have none
        "create_time_us": to_us(version.create_time),
    }


def version_from_row(row: Row[Any]) -> SensorProfileVersion:
    """From a row of ``sensor_profile_versions``."""
    return SensorProfileVersion(
        profile_id=row.profile_id,
        toml=row.toml,
        source=Source(row.source),
        create_time=from_us(row.create_time_us),
        calibration=None if row.calibration is None else _from_json(row.calibration),
        request_id=row.request_id or "",
        number=row.number,
    )


def _to_json(calibration: Calibration) -> str:
    return json.dumps(asdict(calibration) | {"method": calibration.method.value})


def _from_json(text: str) -> Calibration:
    data = json.loads(text)
    lists = {key: tuple(data[key]) for key in ("means", "variances", "counts", "clips")}
    return Calibration(**data | lists | {"noise": Noise(**data["noise"]), "method": Method(data["method"])})
