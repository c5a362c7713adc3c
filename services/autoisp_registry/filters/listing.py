"""What a list is of: parent, filter, order."""

from __future__ import annotations

import json
from dataclasses import dataclass

from autoisp_core.pagination import PageRequest

from autoisp_registry.filters.expression import Expression
from autoisp_registry.filters.fields import MODEL_FIELDS, VERSION_FIELDS
from autoisp_registry.filters.order import Order, parse_order
from autoisp_registry.filters.syntax import parse_filter


@dataclass(frozen=True)
class Listing:
    """A checked list.

    Attributes:
        versions: whether it is of versions, not of models.
        page: whose token is bound to all the rest.
        model: only versions of this one; empty: of all.
        expression: None lets everything through.
        order: None: oldest first.
    """

    versions: bool
    page: PageRequest
    model: str = ""
    expression: Expression | None = None
    order: Order | None = None
    show_deleted: bool = False

    @classmethod
    def of_models(
        cls,
        page_size: int = 0,
        page_token: str = "",
        filter_text: str = "",
        order_by: str = "",
        *,
        show_deleted: bool = False,
    ) -> Listing:
        """Check a list of models.

        Raises:
            InvalidArgumentError: of ``page_size``, ``page_token``, ``filter`` or ``order_by``.
        """
        expression = parse_filter(filter_text, MODEL_FIELDS)
        order = parse_order(order_by, MODEL_FIELDS)
        page = _page(page_size, page_token, "models", filter_text, order_by, show_deleted)
        return cls(False, page, "", expression, order, show_deleted)

    @classmethod
    def of_versions(
        cls,
        model: str = "",
        page_size: int = 0,
        page_token: str = "",
        filter_text: str = "",
        order_by: str = "",
        *,
        show_deleted: bool = False,
    ) -> Listing:
        """Check a list of versions, of one model or of all.

        Raises:
            InvalidArgumentError: as :meth:`of_models`.
        """
        expression = parse_filter(filter_text, VERSION_FIELDS)
        order = parse_order(order_by, VERSION_FIELDS)
        page = _page(page_size, page_token, f"versions {model}", filter_text, order_by, show_deleted)
        return cls(True, page, model, expression, order, show_deleted)


def _page(size: int, token: str, *query: object) -> PageRequest:
    return PageRequest.parse(size, token, json.dumps(query))
