"""The registry: models, their immutable versions, where they came from, and artifacts."""
