"""Every method of every service has a scope; a new one without fails here."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from autoisp import common
from autoisp_runtime.security import Scope, scope_of
from autoisp_runtime.security.scopes import _EXCEPTIONS

PROTOS = Path(common.__path__[0]).parent


def methods() -> list[str]:
    """``/package.Service/Method`` of everything in the wire contract."""
    found = []
    for path in sorted(PROTOS.glob("*/v1/*_pb2.py")):
        module = importlib.import_module(f"autoisp.{path.parts[-3]}.v1.{path.stem}")
        for service in module.DESCRIPTOR.services_by_name.values():
            found += [f"/{service.full_name}/{method.name}" for method in service.methods]
    return found


def test_there_are_methods() -> None:
    assert len(methods()) > 55
    assert "/autoisp.evaluation.v1.LiveEvaluationService/EvaluateStream" in methods()


@pytest.mark.parametrize("method", methods())
def test_every_method_has_a_scope(method: str) -> None:
    assert scope_of(method) is not None, f"add the verb of {method} to autoisp_runtime/security/scopes.py"


def test_exceptions_are_of_methods_that_exist() -> None:
    assert set(_EXCEPTIONS) <= set(methods())


def test_the_table_as_people_know_it() -> None:
    held = {scope: {m.rpartition("/")[2] for m in methods() if scope_of(m) is scope} for scope in Scope}
    assert held[Scope.READ] >= {"GetModel", "ReadFrames", "DownloadArtifact", "ResolveModel", "ReportOutcome"}
    assert held[Scope.WRITE] >= {
        "UploadClip",
        "CreateSearch",
        "CancelSearch",
        "RegisterModelVersion",
        "SetAlias",
    }
    admin = {
        "DeleteClip",
        "UndeleteModel",
        "Promote",
        "Rollback",
        "CreateChannel",
        "StartRollout",
        "AbortRollout",
    }
    assert held[Scope.ADMIN] >= admin


@pytest.mark.parametrize(
    "method",
    ["", "/", "/autoisp.search.v1.SearchService/", "/other.Service/GetThing", "/autoisp.x/get_thing"],
)
def test_what_is_no_method_of_ours_has_none(method: str) -> None:
    assert scope_of(method) is None
