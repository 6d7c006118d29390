"""`python -m homeport.cli` is the `homeport` command."""

from homeport.cli.main import main

main()
