"""The entry point of the `homeport` command."""


def main() -> None:
    """Run the command line."""
    raise SystemExit(2)
