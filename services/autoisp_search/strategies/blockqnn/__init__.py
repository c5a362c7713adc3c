"""BlockQNN's Q-learning over pixel-level networks."""

from autoisp_search.strategies.blockqnn.strategy import BlockQNN

__all__ = ["BlockQNN"]
