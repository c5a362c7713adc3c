"""Pages from templates: one file each, with style, script and pictures in it."""

from __future__ import annotations

import base64
from typing import Any

import jinja2


def fill(template: str, **values: Any) -> str:
    """The page's HTML; whatever is filled in is escaped, unless the template calls it safe.

    Args:
        template: a file's path within this folder, which extends ``base.html.j2``.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("autoisp_cli", "report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = source(environment, "page.css")
    return environment.get_template(template).render(
        style=style, source=lambda name: source(environment, name), **values
    )


def source(environment: jinja2.Environment, name: str) -> str:
    """The text of a style sheet or script, which is no template."""
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def data_uri(png: bytes) -> str:
    """A picture as an address that needs no network."""
    return "data:image/png;base64," + base64.b64encode(png).decode()
