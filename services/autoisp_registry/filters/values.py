"""Reading a comparison's field and value."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

from autoisp_core.errors import InvalidArgumentError
from lark import Token

from autoisp_registry.filters.expression import Comparison, Operator
from autoisp_registry.filters.fields import Field, Fields, Kind

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_FLAGS = {"true": True, "false": False}
_EXAMPLES = {"metrics": "psnr", "cost": "macs_per_pixel", "tags": "stage"}
ANYTHING = "*"
"""The value that asks whether a field is set."""


def unquoted(token: str) -> str:
    """What stands between the quotes, if there are any."""
    if token[:1] in ("'", '"'):
        return _ESCAPE.sub(r"\1", token[1:-1])
    return str(token)


def comparison(name: Token, operator: Token, value: Token, fields: Fields) -> Comparison:
    """Check a comparison.

    Raises:
        InvalidArgumentError: there is no such field, or it can't be compared so.
    """
    operation = Operator(operator)
    if operation is Operator.HAS and name in fields.maps:
        if value == ANYTHING:
            raise _wrong(value, f"name what is to be there, such as {name}:{_EXAMPLES[name]}")
        key = unquoted(value)
        field = fields.find(f"{name}.{key}")
        if field is None:
            raise _wrong(
                value, f"{name} has no {key[:50]!r}; there are {', '.join(fields.keys.get(name, ()))}"
            )
        return Comparison(field, operation, None)
    field = fields.find(_field_name(name))
    if field is None:
        raise _wrong(name, f"there is no field '{name!s:.50}'; there are {fields.known}")
    if operation is Operator.HAS and value == ANYTHING:
        return Comparison(field, operation, None)
    ordered = field.kind in (Kind.NUMBER, Kind.TIME) or (field.kind is Kind.TEXT and not field.values)
    if not ordered and operation not in (Operator.EQ, Operator.NE, Operator.HAS):
        raise _wrong(operator, f"{field.name} is {_kind(field)}; compare it with = or !=")
    read = _value(field, value)
    if operation is Operator.HAS and (field.kind is not Kind.TEXT or field.several or field.values):
        operation = Operator.EQ
    return Comparison(field, operation, read)


def _field_name(token: Token) -> str:
    prefix, dot, key = token.partition(".")
    return f"{prefix}{dot}{unquoted(key)}"


def _value(field: Field, token: Token) -> str | float | bool | datetime:
    text = unquoted(token)
    match field.kind:
        case Kind.NUMBER:
            try:
                number = float(text)
            except ValueError:
                number = math.nan
            if math.isfinite(number):
                return number
        case Kind.TIME:
            try:
                time = datetime.fromisoformat(text)
                return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
            except (ValueError, OverflowError):
                pass
        case Kind.FLAG:
            if text in _FLAGS:
                return _FLAGS[text]
        case Kind.TEXT:
            if not field.values or text.lower() in field.values:
                return text.lower() if field.values else text
    raise _wrong(token, f"{field.name} is {_kind(field)} and {token!s:.50} is none")


def _kind(field: Field) -> str:
    if field.values:
        return f"one of {', '.join(field.values)}"
    return (
        f"{field.kind.value}, such as 2026-01-31T12:00:00Z" if field.kind is Kind.TIME else field.kind.value
    )


def _wrong(token: Token, problem: str) -> InvalidArgumentError:
    position = (token.start_pos or 0) + 1
    return InvalidArgumentError(
        "filter", f"filter at position {position}: {problem}", metadata={"position": str(position)}
    )
