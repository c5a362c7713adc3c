"""``autoisp models list`` and ``versions``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer
from autoisp.registry.v1 import registry_pb2
from rich.text import Text

from autoisp_cli.commands.common import (
    DEFAULT_STATE,
    JsonOption,
    LimitOption,
    ServerOption,
    StateOption,
    client_for,
    minute_text,
    show_list,
    time_text,
)
from autoisp_cli.commands.models.options import DeletedOption, FilterOption, OrderOption
from autoisp_cli.registry.short_names import model_name
from autoisp_cli.report.figures import number

_EVERY_MODEL = "models/-"
_HOW = "'autoisp tune' finds a network, 'autoisp models register' takes one"


def list_command(
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    filter: FilterOption = "",
    order_by: OrderOption = "",
    deleted: DeletedOption = False,
    json: JsonOption = False,
    limit: LimitOption = 100,
) -> None:
    """List models.

    \b
    autoisp models list --filter 'tags.sensor = "phone" AND night'
    autoisp models list --order-by 'update_time desc'
    """
    with client_for(server, state) as client:
        columns: dict[str, Callable[[registry_pb2.Model], object]] = {
            "NAME": _name,
            "LATEST": lambda model: model.latest_version,
            "ALIASES": aliases,
            "TAGS": tags,
            "UPDATED": lambda model: minute_text(model, "update_time"),
        }
        if deleted:
            columns["GONE BY"] = _purged
        models = client.list_models(filter=filter, order_by=order_by, show_deleted=deleted)
        none = "no model fits" if filter else f"no models yet; {_HOW}"
        show_list(models, columns, as_json=json, limit=limit, if_none=none)


def versions_command(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="The model; by default the versions of all models.")
    ] = "-",
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    filter: FilterOption = "",
    order_by: OrderOption = "",
    deleted: DeletedOption = False,
    json: JsonOption = False,
    limit: LimitOption = 100,
) -> None:
    """List a model's versions, or those of all models.

    \b
    autoisp models versions night
    autoisp models versions --filter 'metrics.psnr_model > 30 AND cost.macs_per_pixel < 3600'
    autoisp models versions --order-by 'metrics.psnr_model desc' --limit 5
    """
    with client_for(server, state) as client:
        columns: dict[str, Callable[[registry_pb2.ModelVersion], object]] = {
            "NAME": _name,
            "ALIASES": lambda version: Text(", ".join(sorted(version.aliases)), style="green"),
            "PASSED": _passed,
            "PSNR": _psnr,
            "MAC/PX": _macs,
            "FASTER": _faster,
            "CREATED": lambda version: minute_text(version, "create_time"),
        }
        if deleted:
            columns["GONE BY"] = _purged
        parent = _EVERY_MODEL if model in ("-", _EVERY_MODEL) else model_name(model)
        versions = client.list_model_versions(parent, filter=filter, order_by=order_by, show_deleted=deleted)
        none = "no version fits" if filter else f"no versions yet; {_HOW}"
        show_list(versions, columns, as_json=json, limit=limit, if_none=none)


def aliases(model: registry_pb2.Model) -> str:
    """``champion=3, night=2``."""
    return ", ".join(f"{alias}={version}" for alias, version in sorted(model.aliases.items()))


def tags(model: registry_pb2.Model | registry_pb2.ModelVersion) -> str:
    """``sensor=phone, site=lab``."""
    return ", ".join(f"{key}={value}" for key, value in sorted(model.tags.items()))


def _name(thing: registry_pb2.Model | registry_pb2.ModelVersion) -> Text:
    return Text(thing.name, style="strike dim" if thing.HasField("delete_time") else "")


def _purged(thing: registry_pb2.Model | registry_pb2.ModelVersion) -> Text:
    """When a deleted one is gone for good."""
    return Text(time_text(thing, "purge_time")[:10], style="red")


def _passed(version: registry_pb2.ModelVersion) -> Text:
    if not version.HasField("gate"):
        return Text("–", style="dim")
    return Text("yes", style="green") if version.gate.passed else Text("no", style="red")


def _psnr(version: registry_pb2.ModelVersion) -> str:
    found = version.metrics.get("psnr_model", version.metrics.get("psnr"))
    return "–" if found is None else f"{found:.2f}"


def _faster(version: registry_pb2.ModelVersion) -> str:
    found = version.metrics.get("latency_ratio")
    return "–" if found is None else f"{found:.3g}×"


def _macs(version: registry_pb2.ModelVersion) -> str:
    counted = version.cost.macs_per_pixel if version.cost.HasField("macs_per_pixel") else None
    return number(version.metrics.get("macs_per_pixel", counted))
