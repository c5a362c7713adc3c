"""What promotions and rollbacks have in common."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from autoisp_core.errors import AutoISPError, InvalidArgumentError

from autoisp_registry import validation
from autoisp_registry.audit import AuditDraft, AuditEntry
from autoisp_registry.ports import Store
from autoisp_registry.usecases.locking import lock_live
from autoisp_registry.usecases.telling import tell

_SUMMARY_CHARS = 1000


def validate_move(alias: str, comment: str, request_id: str) -> None:
    """Check what every request to move an alias has.

    Raises:
        InvalidArgumentError: naming the field.
    """
    validation.validate_alias(alias)
    validation.validate_comment(comment)
    validation.validate_request_id(request_id)


async def earlier(
    store: Store, action: str, request_id: str, model_name: str, alias: str, version: str = ""
) -> AuditEntry | None:
    """The entry of an earlier request with this id; None if there was none.

    Args:
        version: what was asked for; an alias may have meant another number then.

    Raises:
        InvalidArgumentError: that one was of another model, alias or version.
    """
    entry = await store.find_entry(f"{action}/{request_id}") if request_id else None
    if entry is None:
        return None
    done = entry.draft
    other = not done.resource.startswith(f"{model_name}/") or done.details.get("alias") != alias
    if other or (version.isdigit() and done.details.get("to") != version):
        raise InvalidArgumentError(
            "request_id", f"request_id {request_id!r} was used for another request; make up a new one"
        )
    return entry


async def record_refusal(
    store: Store, model_name: str, draft: AuditDraft, error: AutoISPError, now: datetime
) -> None:
    """Have the audit log say that something was asked for and refused.

    Raises:
        NotFoundError: the model is gone meanwhile.
    """
    summary = f"refused: {error.message}"[:_SUMMARY_CHARS]
    async with store.transaction() as transaction:
        model = await lock_live(transaction, model_name)
        await tell(transaction, replace(draft, refused=True, summary=summary), model, now)
