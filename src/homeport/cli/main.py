"""The entry point of the `homeport` command."""

import sys

import typer

from homeport.cli.commands import (
    certificates,
    deployments,
    extensions,
    names,
    publishing,
    settings,
    sites,
    tokens,
    xdt,
)
from homeport.cli.commands.check import check
from homeport.cli.commands.deploy import deploy
from homeport.cli.commands.docs import docs
from homeport.cli.commands.explain import explain
from homeport.cli.commands.logs import logs
from homeport.cli.commands.metrics import metrics
from homeport.cli.commands.platform import run_sample, status, up
from homeport.cli.commands.publishing import publish_profile
from homeport.cli.commands.trace import trace
from homeport.cli.commands.why import why
from homeport.model.errors import HomeportError


def homeport_app() -> typer.Typer:
    """Return the command with all its parts."""
    app = typer.Typer(
        name="homeport",
        help="Your own App Service for Python.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.command()(up)
    app.command()(status)
    app.add_typer(sites.app, name="site")
    app.add_typer(extensions.app, name="extension")
    app.add_typer(settings.app, name="settings")
    app.command("publish-profile")(publish_profile)
    app.add_typer(publishing.app, name="publishing-user")
    app.add_typer(tokens.app, name="token")
    app.command()(metrics)
    app.add_typer(names.app, name="hostname")
    app.command()(names.hosts)
    app.add_typer(certificates.app, name="certificate")
    app.add_typer(certificates.authority, name="ca")
    app.command()(deploy)
    app.add_typer(deployments.app, name="deployments")
    app.command()(logs)
    app.command()(check)
    app.command()(why)
    app.command()(trace)
    app.command()(explain)
    app.add_typer(xdt.app, name="xdt")
    app.command("run-sample")(run_sample)
    app.command(hidden=True)(docs)
    return app


def main() -> None:
    """Run the command line: exit code 0, 1 with a sentence on standard error, or 2 for wrong usage."""
    try:
        homeport_app()(prog_name="homeport")
    except HomeportError as error:
        sys.stderr.write(f"homeport: {error.message}\n")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
