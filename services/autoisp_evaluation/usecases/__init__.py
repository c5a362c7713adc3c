"""What the evaluation service does: start evaluations, take in their results, tell how they stand."""

from autoisp_evaluation.usecases.comparing import Comparing
from autoisp_evaluation.usecases.evaluations import Evaluations
from autoisp_evaluation.usecases.live import FramesJudged, LiveFrames
from autoisp_evaluation.usecases.searches import CompletedSearch
from autoisp_evaluation.usecases.watching import Watching

__all__ = ["Comparing", "CompletedSearch", "Evaluations", "FramesJudged", "LiveFrames", "Watching"]
