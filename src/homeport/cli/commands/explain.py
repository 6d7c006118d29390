"""`homeport explain`: what a Windows text of a configuration means here."""

from dataclasses import asdict
from typing import Annotated

import typer

from homeport.cli.options import AsJson
from homeport.cli.output import safe, show_json, show_line
from homeport.windows.explain import explain as explain_text
from homeport.windows.layout import Layout


def explain(
    text: Annotated[
        str, typer.Argument(help=r"A path, a ; list or a scriptProcessor, such as 'D:\home\site\wwwroot'.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Show step by step what a Windows text of a site's configuration becomes in the site's sandbox."""
    explanations = explain_text(text, Layout())
    if as_json:
        show_json([asdict(explanation) for explanation in explanations])
        return
    for number, explanation in enumerate(explanations):
        if number:
            show_line()
        for step in explanation.steps:
            show_line(safe(f"{step.what:<11}{step.outcome}"))
        for warning in explanation.warnings:
            show_line(safe(f"{'warning':<11}{warning}"))
