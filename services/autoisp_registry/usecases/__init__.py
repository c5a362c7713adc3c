"""What the registry does."""

from autoisp_registry.usecases.adding import Adding
from autoisp_registry.usecases.aliases import Aliases
from autoisp_registry.usecases.auditing import Auditing
from autoisp_registry.usecases.conversions import Conversions
from autoisp_registry.usecases.deleting import Deleting
from autoisp_registry.usecases.editing import Editing, Wanted
from autoisp_registry.usecases.evidence import JudgedVersion, Judgements
from autoisp_registry.usecases.judging import Judging
from autoisp_registry.usecases.models import Models
from autoisp_registry.usecases.networks import EvaluatedNetwork, NewVersion
from autoisp_registry.usecases.promotion import Promote, Promotion
from autoisp_registry.usecases.publishing import publish_earlier
from autoisp_registry.usecases.registering import Registering
from autoisp_registry.usecases.retention import Retention
from autoisp_registry.usecases.rollback import Rollback, RollingBack
from autoisp_registry.usecases.transfers import Transfers

__all__ = [
    "Adding",
    "Aliases",
    "Auditing",
    "Conversions",
    "Deleting",
    "Editing",
    "EvaluatedNetwork",
    "JudgedVersion",
    "Judgements",
    "Judging",
    "Models",
    "NewVersion",
    "Promote",
    "Promotion",
    "Registering",
    "Retention",
    "Rollback",
    "RollingBack",
    "Transfers",
    "Wanted",
    "publish_earlier",
]
