"""What the registry does: keep models, and take in and hand out their bytes."""

from autoisp_registry.usecases.models import EvaluatedNetwork, Models
from autoisp_registry.usecases.publishing import publish_earlier
from autoisp_registry.usecases.transfers import Transfers

__all__ = ["EvaluatedNetwork", "Models", "Transfers", "publish_earlier"]
