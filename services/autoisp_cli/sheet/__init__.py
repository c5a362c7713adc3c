"""The contact sheet of a dataset: frames of each clip with what is known of it, as one PNG or HTML file."""

from autoisp_cli.sheet.collect import collect
from autoisp_cli.sheet.write import SHEET_SUFFIXES, write_sheet

__all__ = ["SHEET_SUFFIXES", "collect", "write_sheet"]
