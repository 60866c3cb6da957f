"""Adds the long description to setup.cfg: the README, fit for a package index.

An index shows the README away from the files that it links to. Where ``url`` in setup.cfg says
where the repository is, links and the picture become addresses there; where it says nothing, a
link becomes its text, and the picture is left out.
"""

import configparser
import re
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)]+)\)")


def long_description(readme: str, url: str) -> str:
    """The README with no link that leads nowhere outside the repository at ``url`` ("": none)."""

    def portable(link: re.Match[str]) -> str:
        picture, text, path = link.groups()
        if url:
            folder = f"{url.rstrip('/')}/{'raw' if picture else 'blob'}/main"
            return f"{picture}[{text}]({folder}/{path})"
        return "" if picture else text

    return re.sub(r"\n{3,}", "\n\n", _LINK.sub(portable, readme))


if __name__ == "__main__":
    settings = configparser.ConfigParser()
    settings.read(HERE / "setup.cfg", encoding="utf-8")
    setup(
        long_description=long_description(
            (HERE / "README.md").read_text(encoding="utf-8"), settings["metadata"].get("url", "")
        ),
        long_description_content_type="text/markdown",
    )
