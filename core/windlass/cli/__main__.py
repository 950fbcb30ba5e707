"""`python -m windlass.cli` is the `windlass` command."""

from windlass.cli.main import main

main()
