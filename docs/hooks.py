"""What MkDocs does not do by itself: the command line, the rooms' names, the figures of concepts.

All are made when the site is built, from the parser, from each room's ``__all__`` and from the
project's own functions, so that they cannot be out of date.
"""

from __future__ import annotations

import argparse
import importlib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import figures
import matplotlib

from export.command.arguments import make_parser

_HERE = str(Path(__file__).parent)
MARK = "<!-- the commands -->"
_ROOM = re.compile(r"<!-- room: (\w+) -->")


def on_config(config: Any) -> Any:
    """Let the extension of docstrings find its module: MkDocs takes this folder off the path."""
    if _HERE not in sys.path:
        sys.path.insert(0, _HERE)
    return config


def commands_of(
    parser: argparse.ArgumentParser, prefix: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The commands by name; of one that has commands itself, these."""
    [commands] = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    for name, command in commands.choices.items():
        if any(isinstance(a, argparse._SubParsersAction) for a in command._actions):
            yield from commands_of(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def command_line(parser: argparse.ArgumentParser) -> str:
    """Markdown: a section a command with its usage and a table of its arguments."""
    sections = []
    for name, command in commands_of(parser):
        rows = []
        for action in command._actions:
            if isinstance(action, argparse._HelpAction):
                continue
            flags = ", ".join(action.option_strings) or action.metavar or action.dest
            value = f" {action.metavar}" if action.option_strings and action.metavar else ""
            if action.choices:
                value = " " + "|".join(map(str, action.choices))
            # Help may refer to the default, as %(default)s.
            text = (action.help or "") % {**vars(action), "prog": command.prog}
            rows.append(f"| `{(flags + value).replace('|', chr(92) + '|')}` | {text} |")
        usage = " ".join(command.format_usage().removeprefix("usage: ").split())
        table = "\n".join(["| argument | |", "|---|---|", *rows])
        sections.append(f"## {name}\n\n{command.description}\n\n```\n{usage}\n```\n\n{table}\n")
    return "\n".join(sections)


def room(name: str) -> str:
    """Markdown for mkdocstrings: a room of ``export``, and all that it hands on."""
    module = f"export.{name}"
    options = "members: [], show_root_heading: false, show_root_toc_entry: false"
    parts = [f"## {module}", f"::: {module}\n    options: {{{options}}}"]
    for public in importlib.import_module(module).__all__:
        parts.append(f"::: {module}.{public}\n    options: {{heading_level: 3}}")
    return "\n\n".join(parts) + "\n"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the commands and the rooms where their marks stand."""
    markdown = _ROOM.sub(lambda mark: room(mark[1]), markdown)
    return markdown.replace(MARK, command_line(make_parser())) if MARK in markdown else markdown


def on_files(files: Any, config: Any, **_: Any) -> Any:
    """Add the figures of the concepts as SVG."""
    from mkdocs.structure.files import File

    for name, draw in figures.FIGURES.items():
        stream = io.BytesIO()
        with matplotlib.rc_context({"svg.hashsalt": "snn-ssm"}):
            draw().savefig(stream, format="svg", metadata={"Date": None})
        files.append(File.generated(config, f"concepts/{name}.svg", content=stream.getvalue()))
    return files
