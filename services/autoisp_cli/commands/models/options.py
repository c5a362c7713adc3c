"""Arguments and options that the commands about models share."""

from __future__ import annotations

from typing import Annotated

import typer

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="The model: its ID, or its full name models/ID.")
]
VersionedArgument = Annotated[
    str, typer.Argument(metavar="MODEL[@VERSION]", help="The model, and a version of it: night@3.")
]
VersionArgument = Annotated[
    str | None,
    typer.Argument(metavar="VERSION", help="A number, an alias such as champion, or latest."),
]
VersionOption = Annotated[
    str | None,
    typer.Option("--version", metavar="VERSION", help="A number, an alias such as champion, or latest."),
]
CommentOption = Annotated[
    str, typer.Option("--comment", "-m", metavar="TEXT", help="Why, for the audit log.")
]
AliasOption = Annotated[
    str, typer.Option("--alias", metavar="NAME", help="The alias to move; by default champion.")
]
FilterOption = Annotated[
    str, typer.Option("--filter", metavar="TEXT", help="Only those for which it holds, or with these words.")
]
OrderOption = Annotated[
    str, typer.Option("--order-by", metavar="FIELD [desc]", help="By default the oldest first.")
]
DeletedOption = Annotated[bool, typer.Option("--deleted", help="Deleted ones too, until they are purged.")]
TagOption = Annotated[list[str], typer.Option("--tag", metavar="KEY=VALUE", help="A tag; repeat for more.")]
