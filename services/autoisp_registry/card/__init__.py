"""Model cards: a version for people, as Markdown."""

from __future__ import annotations

from autoisp_registry.card import judged, made
from autoisp_registry.lineage import Provenance


def model_card(provenance: Provenance) -> str:
    """The card of a version: CommonMark with tables, and the lineage as a Mermaid graph.

    What people wrote is escaped: it is text in the card, never markup. What is not known is left out, or the
    card says that it is not known.
    """
    sections = (
        made.title,
        made.intended_use,
        judged.quality,
        judged.costs,
        made.formats,
        made.accelerators,
        judged.clips,
        made.training_data,
        judged.gate,
        made.origin,
        made.files,
    )
    return "\n\n".join(text for section in sections if (text := section(provenance))) + "\n"


__all__ = ["model_card"]
