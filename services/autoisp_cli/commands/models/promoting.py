"""``autoisp models alias``, ``unalias``, ``promote`` and ``rollback``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from autoisp.registry.v1 import registry_pb2
from autoisp_client import Client
from autoisp_core.errors import AutoISPError, FailedPreconditionError, InvalidArgumentError
from rich.text import Text

from autoisp_cli.commands.common import (
    DEFAULT_STATE,
    JsonOption,
    ServerOption,
    StateOption,
    client_for,
    full_name,
    output_console,
    show_one,
)
from autoisp_cli.commands.models.listing import aliases
from autoisp_cli.commands.models.options import (
    AliasOption,
    CommentOption,
    ModelArgument,
    VersionArgument,
    VersionedArgument,
)
from autoisp_cli.gate_file import gate_text
from autoisp_cli.registry.checks import check_lines
from autoisp_cli.registry.short_names import (
    model_id,
    model_name,
    number_of,
    numbered,
    short_version,
    version_name,
)

_CHAMPION = "champion"


def alias_command(
    model: VersionedArgument,
    alias: Annotated[str, typer.Argument(help="A free name, such as night; champion moves by promote.")],
    version: VersionArgument = None,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Point an alias at a version."""
    name = version_name(model, version, default="")
    with client_for(server, state) as client:
        number = number_of(numbered(client, name))
        found = client.set_alias(name.partition("/versions/")[0], alias, number)
    show_one(found, [("name", found.name), ("aliases", aliases(found))], as_json=json)


def unalias_command(
    model: ModelArgument,
    alias: Annotated[str, typer.Argument(help="The name to take away.")],
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Take an alias away."""
    with client_for(server, state) as client:
        found = client.delete_alias(model_name(model), alias)
    show_one(found, [("name", found.name), ("aliases", aliases(found) or "none")], as_json=json)


def promote_command(
    model: VersionedArgument,
    version: VersionArgument = None,
    gate: Annotated[
        Path | None,
        typer.Option("--gate", metavar="FILE", help="What it must reach, as TOML; by default the model's."),
    ] = None,
    evaluation: Annotated[
        str, typer.Option("--evaluation", metavar="ID", help="The evidence; by default the newest.")
    ] = "",
    alias: AliasOption = "",
    override: Annotated[
        bool, typer.Option("--override", help="Whatever the gate says; needs a --comment.")
    ] = False,
    comment: CommentOption = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the gate, change nothing.")] = False,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Make a version the champion, if it passes.

    Its evidence is checked by the gate. Exit code 1: it does not pass, and nothing was changed.

    \b
    autoisp models promote night@3
    autoisp models promote night --gate gate.toml --dry-run
    autoisp models promote night@3 --override --comment 'the lab has seen it'
    """
    name = version_name(model, version)
    text = gate_text(gate) if gate is not None else ""
    if override and not comment.strip():
        raise InvalidArgumentError("--override", "--override needs a --comment that says why, for the log")
    judged_by = full_name("evaluations", evaluation) if evaluation else ""
    with client_for(server, state) as client:
        name = numbered(client, name)  # an alias may move meanwhile
        before = client.get_model(name.partition("/versions/")[0])
        try:
            answer = client.promote(
                name,
                gate=text,
                evaluation=judged_by,
                alias=alias,
                override=override,
                comment=comment,
                validate_only=dry_run,
            )
        except FailedPreconditionError as error:
            if error.reason != "GATE_FAILED":
                raise
            answer = _as_checked(client, name, text, judged_by, alias, error)
            dry_run = True
    if json:
        show_one(answer, [], as_json=True)
    else:
        _show(answer, name, before, alias or _CHAMPION, changed=not dry_run)
    if dry_run and not answer.gate.passed:
        raise typer.Exit(1)


def rollback_command(
    model: ModelArgument,
    alias: AliasOption = "",
    comment: CommentOption = "",
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Make the version before champion again. Or let another alias point where it did.

    \b
    autoisp models rollback night -m 'green faces'
    """
    with client_for(server, state) as client:
        answer = client.rollback(model_name(model), alias=alias, comment=comment)
    name = alias or _CHAMPION
    now = f"{model_id(answer.model.name)}@{answer.model.aliases[name]}"
    rows = [(name, f"{now} again"), ("log", f"entry {answer.audit_entry.sequence}")]
    show_one(answer, rows, as_json=json)


def _as_checked(
    client: Client, name: str, gate: str, evaluation: str, alias: str, error: AutoISPError
) -> registry_pb2.PromoteResponse:
    """What the gate that refused said: the error carries only as much as fits into a call's end."""
    try:
        return client.promote(name, gate=gate, evaluation=evaluation, alias=alias, validate_only=True)
    except FailedPreconditionError:
        checks = [line.strip() for line in error.metadata.get("checks", error.message).splitlines()]
        gate_said = registry_pb2.GateResult(passed=False, checks=filter(None, checks))
        return registry_pb2.PromoteResponse(gate=gate_said)


def _show(
    answer: registry_pb2.PromoteResponse, name: str, before: registry_pb2.Model, alias: str, *, changed: bool
) -> None:
    console = output_console()
    version, passed = short_version(name), answer.gate.passed
    for line in check_lines(answer.gate.checks):
        console.print(line)
    was = before.aliases.get(alias, 0)
    if changed:
        text = Text.assemble((version, "bold cyan"), " is ", (alias, "bold green"), " now")
        if was and was != number_of(name):
            text.append(f", before it was {model_id(before.name)}@{was}")
        if not passed and answer.gate.checks:
            text.append(", against the gate", style="yellow")
        console.print(text.append(f"  (log entry {answer.audit_entry.sequence})", style="dim"))
    elif passed:
        console.print(Text.assemble((version, "bold cyan"), f" would become {alias}; nothing was changed"))
    else:
        still = f"{alias} stays {model_id(before.name)}@{was}" if was else f"there is no {alias} yet"
        console.print(Text.assemble((version, "bold cyan"), (" does not pass", "bold red"), f": {still}"))
