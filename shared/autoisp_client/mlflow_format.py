"""A version as a folder in MLflow's model format, for teams that keep their models there; needs no MLflow.

https://mlflow.org/docs/latest/ml/model/#storage-format
"""

from __future__ import annotations

import json
import platform
import re
import uuid
from collections.abc import Mapping
from datetime import UTC
from importlib import metadata
from pathlib import Path
from typing import Any

from autoisp.registry.v1 import registry_pb2
from autoisp_core.errors import InvalidArgumentError

from autoisp_client.partial_file import disk_errors

MODEL_FILE = "model.onnx"

MLFLOW_VERSION = "2.0.0"
"""The oldest MLflow that reads all that is written."""

_NEEDED = ("mlflow", "numpy", "onnx", "onnxruntime")
_DTYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
}
# A YAML reader wants these escaped, and JSON does not.
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def require_onnx(format: str) -> None:
    """Check that a format is one that MLflow has a flavor for.

    Raises:
        InvalidArgumentError: it is not ONNX.
    """
    if format and not format.startswith("onnx-"):
        raise InvalidArgumentError(
            "format", f"MLflow has no flavor for {format!r}; give an ONNX format, such as 'onnx-int8'"
        )


def write_mlflow_model(folder: Path, version: registry_pb2.ModelVersion, format: str = "") -> None:
    """Write everything but the network itself beside ``model.onnx``, which lies in ``folder`` already.

    ``mlflow.onnx.load_model``, ``mlflow.pyfunc.load_model`` and MLflow's registry take the folder as it is.

    Args:
        folder: with a ``model.onnx``.
        version: what that is.
        format: of the version that it is, such as ``onnx-int8``; empty: the registered file.

    Raises:
        InvalidArgumentError: ``model.onnx`` is no ONNX graph.
        ResourceExhaustedError: the disk is full.
    """
    network = folder / MODEL_FILE
    signature, read_by = _signature(network)
    requirements = [_requirement(name) for name in _NEEDED]
    python = platform.python_version()
    _write(
        folder / "MLmodel",
        {
            "flavors": {
                "onnx": {
                    "code": None,
                    "data": MODEL_FILE,
                    "onnx_version": read_by,
                    "providers": ["CPUExecutionProvider"],
                },
                "python_function": {
                    "data": MODEL_FILE,
                    "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                    "loader_module": "mlflow.onnx",
                    "python_version": python,
                },
            },
            "metadata": _facts(version, format),
            "mlflow_version": MLFLOW_VERSION,
            "model_size_bytes": network.stat().st_size,
            # The same export again is the same model.
            "model_uuid": uuid.uuid5(uuid.NAMESPACE_URL, f"{version.name}/{format}").hex,
            "signature": signature,
            "utc_time_created": f"{version.create_time.ToDatetime(UTC):%Y-%m-%d %H:%M:%S.%f}",
        },
    )
    _write(
        folder / "python_env.yaml",
        {"python": python, "build_dependencies": ["pip"], "dependencies": ["-r requirements.txt"]},
    )
    _write(
        folder / "conda.yaml",
        {
            "name": "mlflow-env",
            "channels": ["conda-forge"],
            "dependencies": [f"python={python}", "pip", {"pip": requirements}],
        },
    )
    with disk_errors(folder):
        (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements))


def _facts(version: registry_pb2.ModelVersion, format: str) -> dict[str, object]:
    lineage = version.lineage
    known = {
        "dataset": lineage.dataset,
        "dataset_manifest_sha256": lineage.manifest.sha256,
        "search": lineage.search,
        "trial": lineage.trial,
        "evaluation": lineage.evaluation,
    }
    file = next((one.artifact for one in version.formats if one.format == format), version.onnx)
    return {
        "autoisp_model_version": version.name,
        "format": format or "onnx-fp32",
        "sha256": file.sha256,
        "signed_manifest_sha256": version.signed_manifest.sha256,
        "description": version.description,
        "lineage": {key: value for key, value in known.items() if value},
        "metrics": dict(sorted(version.metrics.items())),
        "tags": dict(sorted(version.tags.items())),
    }


def _signature(network: Path) -> tuple[dict[str, str | None], str]:
    """The graph's inputs and outputs as MLflow writes them, and the version of the package that read them."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load(network, load_external_data=False).graph
    except DecodeError as error:
        raise InvalidArgumentError("model_version", f"{network} is no ONNX graph") from error
    weights = {weight.name for weight in graph.initializer}
    inputs = [_tensor(value) for value in graph.input if value.name not in weights]
    outputs = [_tensor(value) for value in graph.output]
    return {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs), "params": None}, onnx.__version__


def _tensor(value: Any) -> dict[str, object]:
    tensor = value.type.tensor_type
    if tensor.elem_type not in _DTYPES:
        raise InvalidArgumentError(
            "model_version", f"MLflow has no name for the type of {value.name!r} ({tensor.elem_type})"
        )
    # -1 is any size, as of a dimension that has only a name.
    shape = [size.dim_value if size.HasField("dim_value") else -1 for size in tensor.shape.dim]
    return {
        "name": value.name,
        "type": "tensor",
        "tensor-spec": {"dtype": _DTYPES[tensor.elem_type], "shape": shape},
    }


def _requirement(name: str) -> str:
    try:
        return f"{name}=={metadata.version(name)}"
    except metadata.PackageNotFoundError:
        return f"{name}>={MLFLOW_VERSION}" if name == "mlflow" else name


def _write(path: Path, data: Mapping[str, object]) -> None:
    with disk_errors(path):
        path.write_text(_yaml(data) + "\n", encoding="utf-8")


def _yaml(value: object, line: str = "\n") -> str:
    """``value`` as JSON that every YAML reader reads as the same."""
    inner = line + "  "
    match value:
        case dict() if value:
            items = (f"{inner}{_yaml(key)}: {_yaml(item, inner)}" for key, item in value.items())
            return "{" + ",".join(items) + line + "}"
        case list() if value:
            return "[" + ",".join(inner + _yaml(item, inner) for item in value) + line + "]"
        case float():
            text = json.dumps(value)  # 1e-09 is a string for YAML 1.1
            return text if "." in text else text.replace("e", ".0e")
        case _:
            text = json.dumps(value, ensure_ascii=False)
            return _NOT_IN_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
