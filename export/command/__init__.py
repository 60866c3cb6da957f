"""The command line, ``snn-ssm``: arguments, and what each command does with the other rooms."""

from export.command.arguments import main

__all__ = [
    "main",
]
