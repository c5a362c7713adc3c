"""Arguments and options that the commands about channels share."""

from __future__ import annotations

from typing import Annotated

import typer

ChannelArgument = Annotated[
    str, typer.Argument(metavar="CHANNEL", help="PRODUCT/CHANNEL, such as p-series/stable.")
]
CommentOption = Annotated[
    str, typer.Option("--comment", "-m", metavar="TEXT", help="Why, for the audit log.")
]
ProfilesOption = Annotated[
    list[str],
    typer.Option("--device-profile", metavar="NAME", help="Only such devices; repeat for more."),
]
MinAppOption = Annotated[
    str, typer.Option("--min-app-version", metavar="X.Y", help="Only this app version and newer.")
]
MaxAppOption = Annotated[
    str, typer.Option("--max-app-version", metavar="X.Y", help="Only up to this app version.")
]
RateOption = Annotated[
    float | None,
    typer.Option("--max-failure-percent", metavar="P", min=0, max=100, help="Halt above it; 1 by default."),
]
DevicesOption = Annotated[
    int | None,
    typer.Option("--min-devices", metavar="N", min=1, help="No halt before so many reported; 100."),
]
NoHaltOption = Annotated[bool, typer.Option("--no-halt", help="Never halt by itself.")]
TesterOption = Annotated[
    list[str],
    typer.Option("--tester", metavar="DEVICE", help="A device that gets it in any case; repeat for more."),
]
