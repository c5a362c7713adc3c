"""How a running job is shown: a live view on a terminal, lines in a log, JSON for machines."""

from __future__ import annotations

import sys

from autoisp_cli.views.base import View
from autoisp_cli.views.json_lines import JsonView
from autoisp_cli.views.lines import LineView
from autoisp_cli.views.live import LiveView

__all__ = ["View", "choose_view"]


def choose_view(*, json: bool) -> View:
    """JSON if asked for, live on a terminal, else lines."""
    if json:
        return JsonView()
    return LiveView() if sys.stdout.isatty() else LineView()
