"""Prototypes that every worker has, for services that only name them."""

BUILTIN_PROTOTYPES = ("classical",)
