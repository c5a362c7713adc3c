"""What each method takes: one table, by the first word of the method's name, and its exceptions."""

from __future__ import annotations

import re
from enum import IntEnum


class Scope(IntEnum):
    """What a caller may do; each includes the ones before."""

    READ = 1
    """Look, and what devices do: resolve their version and report how it fares."""
    WRITE = 2
    """Make and change: footage, datasets, searches, evaluations, versions, descriptions."""
    ADMIN = 3
    """Delete, and decide what is released to devices."""

    @property
    def word(self) -> str:
        """As files and commands write it."""
        return self.name.lower()


WORDS = tuple(scope.word for scope in Scope)

_BY_VERB = {
    Scope.READ: (
        "Get",
        "List",
        "Watch",
        "Read",
        "Download",
        "Verify",
        "Validate",
        "Check",
        "Compare",
        "Resolve",
    ),
    Scope.WRITE: (
        "Create",
        "Update",
        "Upload",
        "Import",
        "Ingest",
        "Register",
        "Set",
        "Cancel",
        "Convert",
        "Evaluate",
    ),
    Scope.ADMIN: (
        "Delete",
        "Undelete",
        "Promote",
        "Rollback",
        "Start",
        "Pause",
        "Resume",
        "Complete",
        "Abort",
        "Replay",
        "Drop",
    ),
}
_VERBS = {verb: scope for scope, verbs in _BY_VERB.items() for verb in verbs}
_EXCEPTIONS = {
    # Devices hold read tokens: they ask for their version, and say how it fares.
    "/autoisp.registry.v1.RolloutService/BatchResolveModels": Scope.READ,
    "/autoisp.registry.v1.RolloutService/ReportOutcome": Scope.READ,
    # Of everybody's work, with what was sent.
    "/autoisp.operations.v1.OperationsService/ListDeadLetters": Scope.ADMIN,
    "/autoisp.operations.v1.OperationsService/GetDeadLetter": Scope.ADMIN,
    # What a channel is, and how far a rollout goes, is what devices get.
    "/autoisp.registry.v1.RolloutService/CreateChannel": Scope.ADMIN,
    "/autoisp.registry.v1.RolloutService/UpdateRollout": Scope.ADMIN,
}
_REFLECTION = "/grpc.reflection."
_METHOD = re.compile(r"/autoisp\.[\w.]+/([A-Z][a-z]+)\w*")


def scope_of(method: str) -> Scope | None:
    """What ``/package.Service/Method`` takes; None, which nobody has, for a verb that is not in the table.

    >>> scope_of("/autoisp.search.v1.SearchService/CancelSearch")
    <Scope.WRITE: 2>
    >>> scope_of("/autoisp.search.v1.SearchService/Frobnicate") is None
    True
    """
    if method.startswith(_REFLECTION):
        return Scope.READ
    if method in _EXCEPTIONS:
        return _EXCEPTIONS[method]
    match = _METHOD.fullmatch(method)
    return _VERBS.get(match[1]) if match else None
