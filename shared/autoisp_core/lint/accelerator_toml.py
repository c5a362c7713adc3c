"""Accelerators as TOML: those that are shipped, and anybody's own."""

from __future__ import annotations

import re
from dataclasses import fields
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.lint.accelerator import Accelerator, Conditions, Groups
from autoisp_core.lint.finding import Severity
from autoisp_core.lint.toml_table import Table
from autoisp_core.natural_order import natural_key
from autoisp_core.profile_toml import parsed_toml
from autoisp_core.spec.device import DEVICES, DeviceProfile

PRECISIONS = ("float32", "float16", "w8a16", "w8a8")

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_OPERATOR = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}(?:\.[A-Za-z0-9]{1,64}){0,3}")
_MOST_OPERATORS = 1000
KEYS = (
    *("name", "title", "extends", "unsupported", "precisions", "float32_as", "channel_multiple", "max_rank"),
    *("dynamic_shapes", "runtime_weights", "control_flow", "on_chip_weight_bytes", "max_opset"),
    *("operators", "without", "conditions", "rates"),
)
_CONDITIONS = tuple(field.name for field in fields(Conditions))
_RATES = ("macs_per_second", "bytes_per_second", "bytes_per_value")


def parse_accelerator(text: str, field: str = "device") -> Accelerator:
    """Reads a device profile.

    >>> own = parse_accelerator('name = "mine"\\nextends = "phone-npu-10"\\nchannel_multiple = 8')
    >>> own.channel_multiple, own.max_rank
    (8, 4)

    Args:
        text: TOML; the guide "lint" documents it.
        field: what errors name.

    Raises:
        InvalidArgumentError: it is no TOML, too long, or says something that no device profile can.
    """
    what = "device profile"
    return _accelerator(Table(parsed_toml(field, text, what), f"the {what}", field))


def shipped_names() -> tuple[str, ...]:
    """Names of the profiles that are part of AutoISP."""
    names = (entry.name for entry in _folder().iterdir())
    return tuple(sorted((name[:-5] for name in names if name.endswith(".toml")), key=natural_key))


@cache
def accelerator_named(name: str, field: str = "device") -> Accelerator:
    """The shipped profile of that name.

    Raises:
        InvalidArgumentError: there is none; the message lists those there are.
    """
    if name not in shipped_names():
        raise InvalidArgumentError(
            field, f"there is no device profile {name[:63]!r}; choose from {', '.join(shipped_names())}"
        )
    return parse_accelerator(profile_text(name), field)


def profile_text(name: str) -> str:
    """The TOML of a shipped profile, to begin one's own with."""
    return (_folder() / f"{name}.toml").read_text(encoding="utf-8")


def _accelerator(table: Table) -> Accelerator:
    table.known(KEYS)
    name = table.text("name")
    if not _NAME.fullmatch(name):
        raise table.wrong("name", "write 1 to 63 of a-z, 0-9 and '-', with no '-' at an end, as in my-phone")
    base = Accelerator(name, name, {}, ())
    if "extends" in table.values:
        base = accelerator_named(table.text("extends"), table.field)
    precisions = table.choices("precisions", PRECISIONS, base.precisions)
    if not precisions:
        raise table.wrong(
            "precisions", f"give a list of some of {', '.join(PRECISIONS)}, or extend a profile"
        )
    unsupported = table.choice("unsupported", tuple(Severity), base.unsupported)
    return Accelerator(
        name=name,
        title=table.text("title", base.title),
        operators=_operators(table, base),
        precisions=precisions,
        unsupported=Severity(unsupported),
        float32_as=_float32_as(table, precisions, base.float32_as),
        channel_multiple=table.whole("channel_multiple", 1, 1024, base.channel_multiple),
        max_rank=table.whole("max_rank", 1, 16, base.max_rank),
        dynamic_shapes=table.truth("dynamic_shapes", base.dynamic_shapes),
        runtime_weights=table.truth("runtime_weights", base.runtime_weights),
        control_flow=table.truth("control_flow", base.control_flow),
        on_chip_weight_bytes=table.whole("on_chip_weight_bytes", 1, 1 << 40, base.on_chip_weight_bytes),
        max_opset=table.whole("max_opset", 1, 1000, base.max_opset),
        rates=_rates(table, name) or DEVICES.get(name, base.rates),
    )


def _operators(table: Table, base: Accelerator) -> dict[str, Conditions]:
    operators = dict(base.operators)
    for name in table.texts("without", ()):
        if operators.pop(name, None) is None:
            raise table.wrong(
                "without", f"{name[:50]!r} is not among the operators that it extends: leave it out"
            )
    operators |= {name: Conditions() for name in table.texts("operators", ())}
    operators |= {name: _conditions(conditions) for name, conditions in table.tables("conditions")}
    if not 1 <= len(operators) <= _MOST_OPERATORS:
        fix = f'name 1 to {_MOST_OPERATORS}, such as operators = ["Conv", "Relu"], or extend a profile'
        raise table.wrong("operators", fix)
    for name in operators:
        if not _OPERATOR.fullmatch(name):
            raise table.wrong("operators", f"{name[:50]!r} is no operator's name: write it as ONNX does")
    return operators


def _conditions(table: Table) -> Conditions:
    table.known(_CONDITIONS)
    return Conditions(
        kernels=table.wholes("kernels", 1, 1024),
        strides=table.wholes("strides", 1, 64),
        dilations=table.wholes("dilations", 1, 1024),
        groups=table.choices("groups", tuple(Groups), None),
        modes=table.texts("modes", None),
        coordinates=table.texts("coordinates", None),
    )


def _float32_as(table: Table, precisions: tuple[str, ...], default: str) -> str:
    chosen = table.choice("float32_as", ("", "float16"), default)
    if chosen and chosen not in precisions:
        if "float32_as" in table.values:
            raise table.wrong("float32_as", f"{chosen} is not among its precisions: add it there")
        return ""
    return chosen


def _rates(table: Table, name: str) -> DeviceProfile | None:
    if "rates" not in table.values:
        return None
    rates = table.table("rates")
    rates.known(_RATES)
    return DeviceProfile(
        name,
        macs_per_second=rates.positive("macs_per_second"),
        bytes_per_second=rates.positive("bytes_per_second"),
        bytes_per_value=rates.whole("bytes_per_value", 1, 8, 2),
    )


def _folder() -> Traversable:
    return files("autoisp_core.lint") / "devices"
