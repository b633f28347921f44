"""`python -m bot` is the command `runbook`."""

from bot.cli import main

main()
