"""`python -m deploy.cli` is `offers`: how the supervisor starts services without looking for a script."""

from deploy.cli import main

main()
