"""Changing what people may change of models and versions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from autoisp_core import names
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.quality import Gate

from autoisp_registry import validation
from autoisp_registry.audit import AuditDraft
from autoisp_registry.domain import Model, ModelVersion
from autoisp_registry.ports import Store
from autoisp_registry.usecases.locking import lock_live, locked_version
from autoisp_registry.usecases.telling import tell

_MODEL_FIELDS = ("display_name", "description", "tags", "promotion_gate")
_VERSION_FIELDS = ("description", "tags")


@dataclass(frozen=True)
class Wanted:
    """What a model or version is to become.

    Attributes:
        etag: the one that the caller saw; empty: whatever it is.
    """

    name: str
    etag: str = ""
    display_name: str = ""
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    promotion_gate: str = ""


class Editing:
    """The use cases that change what may change.

    Args:
        store: keeps models.
        now: the clock, in UTC.
    """

    def __init__(self, store: Store, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._store = store
        self._now = now

    async def update_model(self, wanted: Wanted, mask: Sequence[str], actor: str) -> Model:
        """Change the fields of ``mask``: display_name, description, tags, promotion_gate or ``tags.KEY``.

        An empty mask means those that are set. What is as it was changes nothing.

        Raises:
            InvalidArgumentError: a field is wrong.
            NotFoundError: there is no such model.
            AbortedError: it changed since the caller saw its etag.
        """
        names.MODEL.parse(wanted.name, "model.name")
        paths = _paths(mask, wanted, _MODEL_FIELDS)
        async with self._store.transaction() as transaction:
            before = await lock_live(transaction, wanted.name, "model.name")
            before.require_etag(wanted.etag)
            changes = _changes(before, wanted, paths, "model")
            if not changes:
                return before
            now = self._now()
            after = before.changed(now, **changes)
            await transaction.save(after)
            await tell(transaction, _draft(actor, "model.update", after.name, changes), after, now)
        return after

    async def update_version(self, wanted: Wanted, mask: Sequence[str], actor: str) -> ModelVersion:
        """Change the fields of ``mask``: description, tags, ``tags.KEY``; what was registered never changes.

        Raises:
            InvalidArgumentError: a field is wrong.
            NotFoundError: there is no such version.
            AbortedError: it changed since the caller saw its etag.
        """
        model_name, number = validation.version_number(wanted.name, "model_version.name")
        paths = _paths(mask, wanted, _VERSION_FIELDS)
        async with self._store.transaction() as transaction:
            model = await lock_live(transaction, model_name, "model_version.name")
            before = await locked_version(transaction, model, number, "model_version.name")
            before.require_etag(wanted.etag)
            changes = _changes(before, wanted, paths, "model_version")
            if not changes:
                return before
            after = before.changed(**changes)
            await transaction.save_version(after)
            await tell(transaction, _draft(actor, "version.update", after.name, changes), model, self._now())
        return after


def _paths(mask: Sequence[str], wanted: Wanted, allowed: Sequence[str]) -> list[str]:
    for path in mask:
        if path not in allowed and not path.startswith("tags."):
            raise InvalidArgumentError(
                "update_mask",
                f"{path[:100]!r} can't be changed; update_mask can have {', '.join(allowed)} and tags.KEY",
            )
    return list(mask) or [name for name in allowed if getattr(wanted, name)]


def _changes(
    before: Model | ModelVersion, wanted: Wanted, paths: Sequence[str], where: str
) -> dict[str, object]:
    """The fields that become others, checked."""
    after: dict[str, object] = {}
    tags = dict(before.tags)
    for path in paths:
        if path == "tags":
            tags = dict(wanted.tags)
        elif path.startswith("tags."):
            key = path.removeprefix("tags.")
            validation.validate_tag_key(key, "update_mask")
            if key in wanted.tags:
                tags[key] = wanted.tags[key]
            else:
                tags.pop(key, None)
        else:
            after[path] = getattr(wanted, path)
    validation.validate_tags(tags, f"{where}.tags")
    if "description" in after:
        validation.validate_description(wanted.description, f"{where}.description")
    if "display_name" in after:
        validation.validate_display_name(wanted.display_name, f"{where}.display_name")
    if after.get("promotion_gate"):
        Gate.parse(wanted.promotion_gate, f"{where}.promotion_gate")
    after["tags"] = tags
    return {name: value for name, value in after.items() if value != getattr(before, name)}


def _draft(actor: str, action: str, resource: str, changes: Mapping[str, object]) -> AuditDraft:
    fields = ", ".join(sorted(changes))
    return AuditDraft(actor, action, resource, f"changed {fields}", {"fields": fields})
