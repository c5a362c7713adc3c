"""``python -m autoisp_runtime.jetstream.permissions FOLDER``: NATS users with the subjects they need.

Writes ``authorization.conf``, to be included in nats-server's configuration, and for each user ``USER.nk``,
the seed of its nkey, for AUTOISP_NATS_CREDENTIALS. Seeds that are there already are kept.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoisp_core.errors import InvalidArgumentError

from autoisp_runtime.jetstream.roles import OPERATOR, ROLES, Role
from autoisp_runtime.jetstream.topology import (
    DEAD_LETTER_STREAM,
    EVENT_STREAM,
    REPLAY_NOTES,
    Command,
    ConsumerSpec,
    Event,
    command_subjects,
    dead_letter_subject,
    event_subjects,
    stream_configs,
)

CONFIG = "authorization.conf"
_OPERATIONS = "autoisp.v1.ops.processes"
"""Where every process is asked how it is; who asks names its inbox, and only that may be answered."""
_STREAMS = tuple(str(stream.name) for stream in stream_configs())


@dataclass(frozen=True)
class Permissions:
    """Subjects of one user, with NATS's wildcards."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def permissions_of(role: Role, *, replays: bool = False) -> Permissions:
    """What a process of the role needs, and nothing else; ``replays``: and whatever may be sent again."""
    api = "$JS.API"
    publish = [*map(command_subjects, role.commands), *map(event_subjects, role.events)]
    # Whether streams and consumers are there, and how long their queues are.
    for stream in _STREAMS:
        publish += [f"{api}.STREAM.INFO.{stream}", f"{api}.CONSUMER.INFO.{stream}.*"]
    for spec in role.consumes:
        publish += [f"{api}.CONSUMER.MSG.NEXT.{spec.stream}.{spec.durable}", *_acknowledgements(spec)]
        # Of what it consumes alone: a dead letter's subject is where it is sent to again.
        publish += [dead_letter_subject(spec.durable, subject) for subject in spec.filter_subjects]
    if role.looks_back:
        publish.append(f"{api}.STREAM.MSG.GET.{EVENT_STREAM}")
    if role.keeps_dead_letters:
        publish += [f"{api}.STREAM.MSG.{verb}.{DEAD_LETTER_STREAM}" for verb in ("GET", "DELETE")]
        publish.append(REPLAY_NOTES)
    if replays:
        publish += [*map(command_subjects, Command), *map(event_subjects, Event)]
    subscribe = (_inbox(role.name), _OPERATIONS, *map(event_subjects, role.listens))
    return Permissions((*publish, _OPERATIONS), subscribe)


def operator_permissions() -> Permissions:
    """Of whoever makes the topology and replays dead letters."""
    return Permissions(("$JS.API.>", "$JS.ACK.>", "autoisp.>"), ("_INBOX.>", "autoisp.>"))


def all_permissions(*, replays: bool = False) -> dict[str, Permissions]:
    """Of every user by name.

    Args:
        replays: whether whoever keeps dead letters may send them again, and so publish everything.
    """
    services = {
        role.name: permissions_of(role, replays=replays and role.keeps_dead_letters) for role in ROLES
    }
    return {**services, OPERATOR: operator_permissions()}


def authorization(public_keys: Mapping[str, str], *, replays: bool = False) -> str:
    """The text of nats-server's ``authorization`` block.

    Args:
        public_keys: of every user by name.
        replays: see :func:`all_permissions`.
    """
    users = [
        f"    # {name}\n    {{\n      nkey: {public_keys[name]}\n      permissions: {{\n"
        f"        publish: {_listed(allowed.publish)}\n        subscribe: {_listed(allowed.subscribe)}\n"
        "        allow_responses: true\n"
        "      }\n    }"
        for name, allowed in all_permissions(replays=replays).items()
    ]
    return "authorization {\n  users: [\n" + "\n".join(users) + "\n  ]\n}\n"


def write(folder: Path, *, replays: bool = False) -> list[Path]:
    """Make the seeds that are missing and the configuration; returns the files.

    Raises:
        InvalidArgumentError: field ``folder``: it can't be written, or a seed in it is none.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        seeds = {name: folder / f"{name}.nk" for name in all_permissions()}
        keys = {name: _public_key(path) for name, path in seeds.items()}
        (folder / CONFIG).write_text(authorization(keys, replays=replays))
    except OSError as error:
        raise InvalidArgumentError("folder", f"can't write {folder}: {error.strerror}") from error
    return [*seeds.values(), folder / CONFIG]


def _public_key(path: Path) -> str:
    import nkeys

    if not path.exists():
        seed = nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(seed)
    try:
        return str(nkeys.from_seed(bytearray(path.read_bytes().strip())).public_key.decode())
    except Exception as error:  # whatever the library makes of nonsense
        raise InvalidArgumentError(
            "folder", f"{path} is no nkey seed; remove it to have a new one made"
        ) from error


def _acknowledgements(spec: ConsumerSpec) -> Iterable[str]:
    # The second form has a domain and an account in front; servers are to change over to it.
    return (f"$JS.ACK.{spec.stream}.{spec.durable}.>", f"$JS.ACK.*.*.{spec.stream}.{spec.durable}.>")


def _inbox(role: str) -> str:
    return f"_INBOX.autoisp-{role}.>"


def _listed(subjects: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{subject}"' for subject in subjects) + "]"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the files are written, 2 when they can't be."""
    parser = argparse.ArgumentParser(
        prog="python -m autoisp_runtime.jetstream.permissions", description=__doc__
    )
    parser.add_argument("folder", type=Path, help="made if missing; keep it secret: it has the private seeds")
    parser.add_argument(
        "--replays", action="store_true", help="let the registry send dead letters again: publish anything"
    )
    chosen = parser.parse_args(arguments)
    try:
        written = write(chosen.folder, replays=chosen.replays)
    except InvalidArgumentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for path in written:
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
