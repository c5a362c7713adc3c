"""Between the domain and the protobuf messages, both ways; what comes from outside is checked in reading."""

from autoisp_runtime.messages.artifacts import artifact_from, artifact_to

from autoisp_registry.wire.content import (
    content_from,
    gate_to,
    prototype_from,
    sensor_from,
    sensor_to,
)
from autoisp_registry.wire.formats import format_from, format_to
from autoisp_registry.wire.models import model_from, model_to
from autoisp_registry.wire.versions import (
    changeable_from,
    changeable_to,
    registered_from,
    registered_to,
    version_from,
    version_to,
)

__all__ = [
    "artifact_from",
    "artifact_to",
    "changeable_from",
    "changeable_to",
    "content_from",
    "format_from",
    "format_to",
    "gate_to",
    "model_from",
    "model_to",
    "prototype_from",
    "registered_from",
    "registered_to",
    "sensor_from",
    "sensor_to",
    "version_from",
    "version_to",
]
