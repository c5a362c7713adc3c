"""The contact sheet of a dataset: frames of each clip with what is known of it, as one PNG or HTML file."""

from autoisp_cli.sheet.collect import collect
from autoisp_cli.sheet.write import check_sheet, write_sheet

__all__ = ["check_sheet", "collect", "write_sheet"]
