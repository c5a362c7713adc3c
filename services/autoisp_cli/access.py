"""How the command proves who it is: options before the subcommand, or the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from autoisp_client import access

CaOption = Annotated[
    str | None,
    typer.Option(
        "--ca", metavar="FILE", help="Authorities of the servers' certificates; 'system'; or AUTOISP_CA."
    ),
]
CertOption = Annotated[
    Path | None, typer.Option("--cert", metavar="FILE", help="Your certificate; or AUTOISP_CLIENT_CERT.")
]
KeyOption = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="Its private key; or AUTOISP_CLIENT_KEY.")
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file", metavar="FILE", help="File with your token; or AUTOISP_TOKEN_FILE, AUTOISP_TOKEN."
    ),
]


def choose(ca: str | None, cert: Path | None, key: Path | None, token_file: Path | None) -> None:
    """What is given goes before the environment, for every client that this process makes."""
    given = {access.CA: ca, access.CLIENT_CERT: cert, access.CLIENT_KEY: key, access.TOKEN_FILE: token_file}
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    if token_file is not None:
        os.environ.pop(access.TOKEN, None)  # it would count more than the file


def local_tls() -> bool | None:
    """For a client of services on this machine: these speak TLS only if the environment tells them to.

    What it says of servers elsewhere must not keep the local ones from being reached.
    """
    return None if os.environ.get("AUTOISP_TLS_CERT") else False
