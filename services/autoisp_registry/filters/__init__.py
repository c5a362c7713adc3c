"""Filters and orders of lists: text to checked expressions, without a database."""

from autoisp_registry.filters.expression import And, Comparison, Expression, Not, Operator, Or, Text
from autoisp_registry.filters.fields import MODEL_FIELDS, VERSION_FIELDS, Field, Fields, Kind
from autoisp_registry.filters.listing import Listing
from autoisp_registry.filters.order import Order, parse_order
from autoisp_registry.filters.syntax import parse_filter

__all__ = [
    "MODEL_FIELDS",
    "VERSION_FIELDS",
    "And",
    "Comparison",
    "Expression",
    "Field",
    "Fields",
    "Kind",
    "Listing",
    "Not",
    "Operator",
    "Or",
    "Order",
    "Text",
    "parse_filter",
    "parse_order",
]
