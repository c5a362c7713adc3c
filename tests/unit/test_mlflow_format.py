"""The export folder, against what MLflow's format says.

MLflow itself is not among the tests' packages: even its small distribution needs pandas to read a signature,
and brings a web framework. With mlflow-skinny 3.17.2 and pandas, ``Model.load`` and
``mlflow.pyfunc.load_model`` of such a folder were tried by hand: the first gives the values below, the second
runs the network and refuses other shapes. What is fixed here is what it read then.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import yaml
from autoisp.common.v1 import common_pb2
from autoisp.registry.v1 import registry_pb2
from autoisp_client import mlflow_format
from autoisp_client.mlflow_format import MODEL_FILE, require_onnx, write_mlflow_model
from autoisp_core.errors import InvalidArgumentError
from autoisp_testing import graphs
from onnx import TensorProto, helper

# What a careless YAML writer would spoil.
AWKWARD = 'night: 😀 \x7f\x9f\u2028\ufeff "quoted" \\ud83d - # {yes: no}\n\ttab \x00'


@pytest.fixture
def version() -> registry_pb2.ModelVersion:
    version = registry_pb2.ModelVersion(
        name="models/m/versions/3",
        onnx=common_pb2.Artifact(sha256="a" * 64),
        metrics={"psnr_model": 31.5, "latency_ratio": 1e-9, "one": 1.0, "huge": -1e300},
        lineage=registry_pb2.Lineage(
            dataset="datasets/d", evaluation="evaluations/e", manifest=common_pb2.Artifact(sha256="b" * 64)
        ),
        description=AWKWARD,
        tags={"sensor": "phone", "no": "yes"},
        formats=[
            registry_pb2.EdgeFormat(format="onnx-int8", artifact=common_pb2.Artifact(sha256="c" * 64)),
        ],
        signed_manifest=common_pb2.Artifact(sha256="d" * 64),
    )
    version.create_time.FromDatetime(datetime(2024, 5, 6, 7, 8, 9, 10, tzinfo=UTC))
    return version


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / MODEL_FILE).write_bytes(graphs.root_of(1.0))
    return tmp_path


def read(path: Path) -> dict[str, object]:
    found = yaml.safe_load(path.read_text("utf-8"))
    assert isinstance(found, dict)
    return found


def test_mlflow_finds_what_it_looks_for(folder: Path, version: registry_pb2.ModelVersion) -> None:
    write_mlflow_model(folder, version)
    model = read(folder / "MLmodel")
    flavors = model["flavors"]
    assert isinstance(flavors, dict)
    assert set(flavors) == {"onnx", "python_function"}
    assert flavors["onnx"] | {"onnx_version": ""} == {
        "code": None,
        "data": "model.onnx",
        "onnx_version": "",
        "providers": ["CPUExecutionProvider"],
    }
    assert flavors["python_function"]["loader_module"] == "mlflow.onnx"
    assert flavors["python_function"]["data"] == "model.onnx"
    for file in flavors["python_function"]["env"].values():
        assert (folder / file).is_file()
    assert model["utc_time_created"] == "2024-05-06 07:08:09.000010"
    assert len(str(model["model_uuid"])) == 32
    assert model["model_size_bytes"] == (folder / MODEL_FILE).stat().st_size
    # The arguments that mlflow.models.Model takes.
    assert set(model) <= {
        *("flavors", "metadata", "mlflow_version", "model_size_bytes", "model_uuid", "signature"),
        "utc_time_created",
    }


def test_the_signature_is_the_graphs(folder: Path, version: registry_pb2.ModelVersion) -> None:
    write_mlflow_model(folder, version)
    signature = read(folder / "MLmodel")["signature"]
    assert isinstance(signature, dict)
    (raw,), (srgb,) = json.loads(signature["inputs"]), json.loads(signature["outputs"])
    assert raw == {
        "name": "raw",
        "type": "tensor",
        "tensor-spec": {"dtype": "float32", "shape": [-1, 4, -1, -1]},
    }
    assert srgb["tensor-spec"] == {"dtype": "float32", "shape": [-1, 3, -1, -1]}
    assert signature["params"] is None
    # What the signature promises is what the network in the folder takes and gives.
    session = onnxruntime.InferenceSession(folder / MODEL_FILE, providers=["CPUExecutionProvider"])
    (output,) = session.run([srgb["name"]], {raw["name"]: np.ones((2, 4, 6, 8), np.float32)})
    assert output.shape == (2, 3, 12, 16)
    assert str(output.dtype) == srgb["tensor-spec"]["dtype"]


def test_metadata_says_what_it_is_and_where_it_is_from(
    folder: Path, version: registry_pb2.ModelVersion
) -> None:
    write_mlflow_model(folder, version)
    assert read(folder / "MLmodel")["metadata"] == {
        "autoisp_model_version": "models/m/versions/3",
        "format": "onnx-fp32",
        "sha256": "a" * 64,
        "signed_manifest_sha256": "d" * 64,
        "description": AWKWARD,
        "lineage": {
            "dataset": "datasets/d",
            "dataset_manifest_sha256": "b" * 64,
            "evaluation": "evaluations/e",
        },
        "metrics": {"huge": -1e300, "latency_ratio": 1e-9, "one": 1.0, "psnr_model": 31.5},
        "tags": {"no": "yes", "sensor": "phone"},
    }
    write_mlflow_model(folder, version, "onnx-int8")
    metadata = read(folder / "MLmodel")["metadata"]
    assert isinstance(metadata, dict)
    assert (metadata["format"], metadata["sha256"]) == ("onnx-int8", "c" * 64)


def test_the_environments_name_what_is_needed(folder: Path, version: registry_pb2.ModelVersion) -> None:
    write_mlflow_model(folder, version)
    needed = (folder / "requirements.txt").read_text().splitlines()
    assert f"onnxruntime=={onnxruntime.__version__}" in needed
    assert sum(line.startswith("mlflow") for line in needed) == 1
    assert read(folder / "conda.yaml")["dependencies"][-1] == {"pip": needed}  # type: ignore[index]
    assert read(folder / "python_env.yaml")["dependencies"] == ["-r requirements.txt"]


def test_the_same_export_is_the_same_bytes(folder: Path, version: registry_pb2.ModelVersion) -> None:
    write_mlflow_model(folder, version)
    first = (folder / "MLmodel").read_bytes()
    write_mlflow_model(folder, version)
    assert (folder / "MLmodel").read_bytes() == first


def test_what_mlflow_has_no_words_for_is_refused(folder: Path, version: registry_pb2.ModelVersion) -> None:
    with pytest.raises(InvalidArgumentError, match="no flavor for 'executorch-xnnpack'"):
        require_onnx("executorch-xnnpack")
    (folder / MODEL_FILE).write_bytes(b"\xff" * 100)
    with pytest.raises(InvalidArgumentError, match="no ONNX graph"):
        write_mlflow_model(folder, version)
    tokens = helper.make_tensor_value_info("raw", TensorProto.BFLOAT16, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["raw"], ["srgb"])], "g", [tokens], [tokens])
    (folder / MODEL_FILE).write_bytes(helper.make_model(graph).SerializeToString())
    with pytest.raises(InvalidArgumentError, match="no name for the type of 'raw'"):
        write_mlflow_model(folder, version)
    assert not (folder / "MLmodel").exists()


def test_every_type_of_onnx_that_numpy_has_is_known() -> None:
    for number, name in mlflow_format._DTYPES.items():
        assert helper.tensor_dtype_to_np_dtype(number) == np.dtype(name)
