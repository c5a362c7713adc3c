"""What callers of one project may name and see: resources whose id begins with the project's name.

Names are found wherever they are: any text of a message that begins as a resource name does.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from typing import Any

from autoisp_core.errors import InvalidArgumentError, PermissionDeniedError
from autoisp_core.ids import new_id
from cryptography.fernet import Fernet, InvalidToken
from google.protobuf.message import Message

PROJECT = re.compile(r"[a-z][a-z0-9]{0,30}")
"""Names of projects: without a hyphen, so that none is the beginning of another's prefix."""

_NAMED = re.compile(r"(datasets|searches|evaluations|models|products|sensorProfiles)/([^/@]*)")
_EVERY = "-"
"""The id that stands for all, in lists."""
_NEW_IDS = ("dataset_id", "search_id", "evaluation_id", "profile_id")
_PARTS = ("entry", "model", "model_version")
"""Of what a change is told with."""
_PAGE, _NEXT = "page_token", "next_page_token"
_REQUEST_ID = "request_id"


class Project:
    """Sees to it that the messages of calls stay in one project.

    Args:
        name: matches :data:`PROJECT`.
        seal: secret to others; page tokens that were sealed with it are good for it alone.
    """

    def __init__(self, name: str, seal: str) -> None:
        self._name, self._prefix = name, f"{name}-"
        self._fernet = Fernet(base64.urlsafe_b64encode(hashlib.sha256(seal.encode()).digest()))

    def check(self, request: Message) -> None:
        """Make a request the project's: its ids, made up where they are left empty, and its page token.

        A ``request_id`` gets the prefix too: one that another used would tell of what that made.

        Raises:
            PermissionDeniedError: reason ``OTHER_PROJECT``: it names something else.
            InvalidArgumentError: field ``page_token``: it was not given to this project.
        """
        for name in names_in(request):
            if not self._ours(name) and not _of_every(name):
                raise self._refusal(name)
        for field in _NEW_IDS:
            if field in request.DESCRIPTOR.fields_by_name:
                self._check_id(request, field)
        if repeated := getattr(request, _REQUEST_ID, ""):
            setattr(request, _REQUEST_ID, self._prefix + repeated)
        if token := getattr(request, _PAGE, ""):
            setattr(request, _PAGE, self._opened(token))

    def filtered(self, answer: Message) -> bool:
        """Take others' elements out of the lists of an answer; returns whether anything is left of it.

        Answers about one thing are left whole, or not at all.
        """
        if not self._shows(answer):
            return False
        kept_any = False
        for field, value in answer.ListFields():
            if not field.is_repeated or field.message_type is None or _is_map(field):
                continue
            for place in reversed(range(len(value))):
                if not self._shows(value[place]):
                    del value[place]
            kept_any = kept_any or bool(value)
        return kept_any or not is_page(answer)

    def refused(self) -> PermissionDeniedError:
        """The error of a call whose answer is about something else, which it does not name."""
        return self._refusal("what this call is about")

    def seal(self, answer: Message) -> None:
        """Hide the name in the token of the next page."""
        if token := getattr(answer, _NEXT, ""):
            setattr(answer, _NEXT, self._fernet.encrypt(token.encode()).decode())

    def _shows(self, message: Message) -> bool:
        """Whether what it is about is ours: its own name, and of a change those of its parts."""
        for field, value in message.ListFields():
            if (
                field.name == "name"
                and isinstance(value, str)
                and _NAMED.match(value)
                and not self._ours(value)
            ):
                return False
            if field.name == "resource" and not self._ours(value):
                return False
            part = isinstance(value, Message) and (field.containing_oneof or field.name in _PARTS)
            if part and not self._shows(value):
                return False
        return True

    def _check_id(self, request: Message, field: str) -> None:
        wanted = getattr(request, field)
        if not wanted:
            # From the request's id, so that repeating it asks for the same.
            again = getattr(request, _REQUEST_ID, "")
            made = hashlib.sha256(again.encode()).hexdigest()[:20] if again else new_id()
            setattr(request, field, self._prefix + made)
        elif not wanted.startswith(self._prefix):
            raise self._refusal(wanted)

    def _opened(self, token: str) -> str:
        try:
            return self._fernet.decrypt(token.encode()).decode()
        except InvalidToken:
            raise InvalidArgumentError(
                "page_token",
                "page_token is not one that this list gave to this project; leave it empty to start again",
                reason="INVALID_PAGE_TOKEN",
            ) from None

    def _ours(self, name: str) -> bool:
        match = _NAMED.match(name)
        return match is not None and match[2].startswith(self._prefix)

    def _refusal(self, name: str) -> PermissionDeniedError:
        return PermissionDeniedError(
            f"{name[:200]} is not of the project {self._name}: ids of what is begin with {self._prefix!r}",
            reason="OTHER_PROJECT",
            metadata={"resource": name[:200], "project": self._name},
        )


def names_in(message: Message) -> Iterator[str]:
    """Every text that begins as a resource name does, at any depth."""
    for field, value in message.ListFields():
        if field.message_type is not None:
            if _is_map(field):
                entries = [*value.keys(), *value.values()]
            else:
                entries = list(value) if field.is_repeated else [value]
        elif field.type == field.TYPE_STRING:
            entries = list(value) if field.is_repeated else [value]
        else:
            continue
        for entry in entries:
            if isinstance(entry, Message):
                yield from names_in(entry)
            elif isinstance(entry, str) and _NAMED.match(entry):
                yield entry


def _of_every(name: str) -> bool:
    match = _NAMED.match(name)
    return match is not None and match[2] == _EVERY


def is_page(answer: Any) -> bool:
    """Whether it is a page of a list."""
    return isinstance(answer, Message) and _NEXT in answer.DESCRIPTOR.fields_by_name


def _is_map(field: Any) -> bool:
    return bool(field.message_type is not None and field.message_type.GetOptions().map_entry)
