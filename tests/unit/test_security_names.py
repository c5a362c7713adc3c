"""No field of any request is a way to another project's resources."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from autoisp_core.errors import PermissionDeniedError
from autoisp_runtime.security.project_methods import FOR_PROJECTS
from autoisp_runtime.security.projects import Project
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from test_security_scopes import PROTOS

FOREIGN = "models/zeta-0/versions/1"


def requests() -> dict[str, Descriptor]:
    """What the methods take that are for projects."""
    found = {}
    for path in sorted(PROTOS.glob("*/v1/*_pb2.py")):
        module = importlib.import_module(f"autoisp.{path.parts[-3]}.v1.{path.stem}")
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                if f"/{service.full_name}/{method.name}" in FOR_PROJECTS:
                    found[method.full_name] = method.input_type
    return found


def filled(kind: Descriptor, within: tuple[Descriptor, ...] = ()) -> Iterator[tuple[str, Any]]:
    """A message for each text that it can hold at any depth, with the name in that alone."""
    for field in kind.fields:
        made = message_factory.GetMessageClass(kind)()
        if field.message_type is None:
            if field.type == FieldDescriptor.TYPE_STRING:
                if field.is_repeated:
                    getattr(made, field.name).extend(["models/acme-0", FOREIGN])
                else:
                    setattr(made, field.name, FOREIGN)
                yield field.name, made
        elif field.message_type.GetOptions().map_entry:
            key, value = field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
            if value.message_type is not None:
                getattr(made, field.name)[FOREIGN].SetInParent()
            else:
                getattr(made, field.name)[FOREIGN] = FOREIGN if value.type == key.type else 1
            yield field.name, made
        elif field.message_type not in within:
            for path, inner in filled(field.message_type, (*within, kind)):
                made = message_factory.GetMessageClass(kind)()
                place = getattr(made, field.name)
                if field.is_repeated:
                    place.add()
                    place.add().CopyFrom(inner)
                else:
                    place.CopyFrom(inner)
                yield f"{field.name}.{path}", made


@pytest.mark.parametrize(("method", "kind"), requests().items(), ids=list(requests()))
def test_a_name_of_another_is_refused_wherever_it_stands(method: str, kind: Descriptor) -> None:
    project = Project("acme", "seal")
    for path, request in filled(kind):
        with pytest.raises(PermissionDeniedError) as caught:
            project.check(request)
        assert caught.value.reason == "OTHER_PROJECT", path


def test_that_looks_at_what_matters() -> None:
    paths = {path for kind in requests().values() for path, _ in filled(kind)}
    assert paths >= {
        "search.warm_start",
        "requests.channel",
        "header.subject.model_version",
        "evaluation.subjects.model_version",
        "model_version.lineage.evaluation",
        "update_mask.paths",
        "baseline_evaluation",
        "model.tags",
    }
