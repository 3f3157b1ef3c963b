"""`python -m infra.cli` is `inferform`."""

from infra.cli import main

main()
