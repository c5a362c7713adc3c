"""Optuna's samplers as strategies: what a user would have without this search, for comparison."""

from autoisp_search.strategies.base import Strategy, Task
from autoisp_search.strategies.peers import samplers
from autoisp_search.strategies.peers.strategy import OptunaStrategy, Peer

_PEERS = {
    # A trial that no generation claims is in no population: earlier trials count as the first one's.
    "nsga2": Peer(samplers.nsga2, attempts=100, prior_marks={"NSGAIISampler:generation": 0}),
    "tpe": Peer(samplers.tpe, attempts=50),
    # Each of its proposals takes a fit and a search of seconds, so it is not asked for all of them again.
    "gp": Peer(samplers.gp, attempts=4, asks_again=False),
}


def peer(name: str, task: Task) -> Strategy:
    """The strategy that asks the sampler ``nsga2``, ``tpe`` or ``gp``."""
    return OptunaStrategy(task, _PEERS[name])
