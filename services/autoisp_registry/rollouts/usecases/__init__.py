"""What is done with channels and rollouts, what devices are answered, and what they report."""

from autoisp_registry.rollouts.usecases.board import Board
from autoisp_registry.rollouts.usecases.changes import Call
from autoisp_registry.rollouts.usecases.channels import Channels, NewChannel
from autoisp_registry.rollouts.usecases.outcomes import OutcomeRecorder, Report
from autoisp_registry.rollouts.usecases.rollouts import Changes, NewRollout, Rollouts
from autoisp_registry.rollouts.usecases.sweeping import sweep

__all__ = [
    "Board",
    "Call",
    "Changes",
    "Channels",
    "NewChannel",
    "NewRollout",
    "OutcomeRecorder",
    "Report",
    "Rollouts",
    "sweep",
]
