"""The TOML of profiles: reading what anybody may send, and writing."""

import json
import re
import tomllib
from typing import Any

from autoisp_core.errors import InvalidArgumentError

MAX_TOML_BYTES = 16 * 1024
"""Of a profile's text; with every key there is it has less than 1 KiB."""
_MAX_DOTS = 4
"""In one key; profiles need one."""

# Whatever else may hold dots, delimited as `tomllib` does: up to two more quotes may end a text of several
# lines. One that is not closed, which is no TOML, counts as a text too: so nothing is looked at twice.
_TEXT_OR_COMMENT = re.compile(
    r'"""(?:\\.?+|[^\\])*?(?:"{3,5}|\Z)'
    r"|'''.*?(?:'{3,5}|\Z)"
    r'|"(?:\\.|[^"\\\n])*+"?'
    r"|'[^'\n]*+'?"
    r"|#[^\n]*+",
    re.DOTALL,
)
_LONG_KEY = re.compile(rf"(?<![\w-])(?:[\w-]++[ \t]*+\.[ \t]*+){{{_MAX_DOTS + 1}}}", re.ASCII)


def parsed_toml(field: str, text: str, what: str = "sensor profile") -> dict[str, Any]:
    """The tables of the TOML of a profile, or of `what` else anybody may send.

    `tomllib` takes time and memory that grow with the square of a key's parts: 16 KiB of `a.a.a.…` take
    seconds and 250 MB. So long texts and keys are refused before it sees them.

    Raises:
        InvalidArgumentError: too long, or no TOML; names `field`.
    """
    size = len(text.encode(errors="surrogatepass"))
    if size > MAX_TOML_BYTES:
        raise InvalidArgumentError(field, f"the {what} has {size} bytes: give at most {MAX_TOML_BYTES}")
    if _LONG_KEY.search(_TEXT_OR_COMMENT.sub(_without_dots, text)):
        raise InvalidArgumentError(
            field,
            f"a key of the {what} has more than {_MAX_DOTS} dots: use tables, as in [noise.test]",
        )
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also a whole number of thousands of digits
        raise InvalidArgumentError(field, f"the {what} is no TOML: {error}") from error


def _without_dots(found: re.Match[str]) -> str:
    """A text may be a part of a key, so something stays in its place; nothing stays of a comment."""
    return "" if found[0].startswith("#") else "_"


def toml_of(data: dict[str, Any], table: str = "") -> str:
    """As TOML: texts, numbers, lists of them, and tables.

    Args:
        table: the name of the table that `data` is.
    """
    lines = [f"[{table}]"] if table else []
    lines += [f"{key} = {_value(value)}" for key, value in data.items() if not isinstance(value, dict)]
    tables = [(key, value) for key, value in data.items() if isinstance(value, dict)]
    lines += [toml_of(value, f"{table}.{key}" if table else key) for key, value in tables]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    # JSON writes numbers and lists of them just as TOML does, and texts as long as they are not forced into
    # ASCII: TOML knows no surrogate pairs. Only DEL must be escaped there and need not be in JSON.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
