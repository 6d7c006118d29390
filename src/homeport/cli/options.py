"""The options and arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="HOMEPORT_DATA",
        metavar="DIR",
        help="The platform's data folder.",
        show_default="/var/lib/homeport as root, else ~/.local/share/homeport",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Site = Annotated[str, typer.Argument(metavar="SITE", help="The name of the site.")]
