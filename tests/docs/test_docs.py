"""The documentation: its code runs as it stands, its reference is complete, its links lead on."""

import argparse
import ast
import doctest
import importlib
import importlib.util
import json
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib

import pytest
from support.files import ROOT

from export.command.arguments import main, make_parser
from snn_ssm.config import ConfigError, ModelConfig, TrainingConfig, from_dict
from snn_ssm.convert.names import load_map

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
NOTEBOOKS = sorted((DOCS / "tutorials").glob("*.ipynb"))
TABLES = {"model": ModelConfig, "training": TrainingConfig}
SIMULATORS = ("nest", "spynnaker")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(DOCS).as_posix())


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def load(name):
    """A module of the site's own, ``docs/NAME.py``."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_is_something_to_read():
    assert len(PAGES) > 12 and len(NOTEBOOKS) == 3


# A notebook that starts commands as processes runs them in its own, where everything is loaded.
WITHIN = """
import contextlib, io, subprocess, sys
from export.command import main

def run(command, *more, started=subprocess.run, **options):
    if command[:3] != [sys.executable, "-m", "snn_ssm"]:
        return started(command, *more, **options)
    printed = io.StringIO()
    with contextlib.chdir(options["cwd"]), contextlib.redirect_stdout(printed):
        status = main(command[3:])
    return subprocess.CompletedProcess(command, status, printed.getvalue(), "")

subprocess.run = run
"""


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_tutorial_runs_from_its_first_cell_to_its_last(notebook, tmp_path):
    for simulator in SIMULATORS:
        pytest.importorskip(simulator, reason=f"{simulator} is not installed")
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert len(code) > 4
    assert not any(cell.get("outputs") for cell in cells), "outputs are made when the site is built"
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg", "TMPDIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([WITHIN, *code])],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr


def test_getting_started_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    pytest.importorskip("nest", reason="NEST is not installed")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    commands = [
        shlex.split(line, comments=True)
        for line in "".join(blocks(DOCS / "start.md", "sh")).splitlines()
    ]
    assert [c[1] for c in commands] == ["export", "inspect", "run", "verify", "config"]
    for command in commands:
        target = command.index(">") if ">" in command else len(command)
        assert main(command[1:target]) == 0, command
    assert json.loads((tmp_path / "verify.json").read_text())["contract"] == {"E3": True}


@every_page
def test_python_on_a_page_runs_or_names_what_exists(page):
    for block in blocks(page, "python"):
        tree = ast.parse(block)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] != "pyNN":
                exec(ast.unparse(node), {})
        if page.name == "start.md":  # the others need a board, or a job of the reader's
            exec(compile(tree, str(page), "exec"), {})


@every_page
def test_configuration_on_a_page_is_valid(page, tmp_path):
    for block in blocks(page, "toml"):
        table = tomllib.loads(block)
        if "names" in table:
            (tmp_path / "map.toml").write_text(block)
            load_map(tmp_path / "map.toml")
            continue
        for name, values in table.items():
            from_dict(TABLES[name], values, name)


def test_a_key_that_is_none_would_be_found():
    with pytest.raises(ConfigError, match="unknown configuration key training.rates"):
        from_dict(TrainingConfig, {"rates": 1.0}, "training")


@every_page
def test_commands_on_a_page_are_commands(page):
    for block in re.findall(r"^```(?:sh)?\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            line = re.sub(r"^.*--no-python snn-ssm|^SNN_SSM_APLX=\S+ snn-ssm", "snn-ssm", line)
            if line.startswith("snn-ssm ") and "COMMAND" not in line:
                words = shlex.split(line, comments=True)[1:]
                words = words[: words.index(">")] if ">" in words else words
                assert make_parser().parse_args(words).function


@every_page
def test_links_lead_somewhere(page):
    made = {f"concepts/{name}.svg" for name in load("figures").FIGURES}
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith("https://"):
            path = (page.parent / target).resolve()
            assert path.exists() or path.relative_to(DOCS).as_posix() in made, target


def test_the_reference_has_every_public_name():
    made = load("hooks").on_page_markdown
    text = "".join(made(page.read_text()) for page in (DOCS / "reference").glob("*.md"))
    documented = set(re.findall(r"^::: (\S+)", text, re.MULTILINE))
    names = {name.rpartition(".")[2] for name in documented}
    for package in ("snn_ssm", "export", "pynn_models"):
        for name in importlib.import_module(package).__all__:
            assert name in names, f"{package}.{name}"
    for room in pkgutil.iter_modules([str(ROOT / "export")]):
        if room.name != "command":  # its page is that of the command line
            for name in importlib.import_module(f"export.{room.name}").__all__:
                assert f"export.{room.name}.{name}" in documented
    for name in documented:
        module, _, attribute = name.rpartition(".")
        if module and not module.startswith("pynn_models.nest"):
            assert hasattr(importlib.import_module(module), attribute), name


def test_every_command_and_argument_is_on_its_page():
    hooks = load("hooks")
    page = hooks.on_page_markdown((DOCS / "reference" / "command-line.md").read_text())
    assert hooks.MARK not in page
    def inner(parser):
        return [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]

    [commands] = inner(make_parser())
    every = dict(commands.choices)
    every |= {f"nir {name}": c for name, c in inner(every.pop("nir"))[0].choices.items()}
    assert {"nir import", "run", "demo"} <= every.keys()
    for name, command in every.items():
        section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
        for action in command._actions:
            flags = [] if isinstance(action, argparse._HelpAction) else action.option_strings
            assert all(flag in section for flag in flags)
    assert "%(default)s" not in page
    assert hooks.on_page_markdown("another page") == "another page"


def test_the_figures_are_drawn():
    for name, draw in load("figures").FIGURES.items():
        assert draw().axes, name


ROLES = "See :func:`~a.b.name` and :class:`Other`.\nRaises :class:`E` for x.\n\n>>> f(1)\n2\n\nend"


def test_docstrings_become_markdown():
    assert load("roles").markdown(ROLES) == (
        "See `name` and `Other`.  \nRaises `E` for x.\n\n```pycon\n>>> f(1)\n2\n```\n\nend"
    )


def modules_with_examples():
    for package in ("snn_ssm", "export", "pynn_models"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if ">>> " in path.read_text(encoding="utf-8"):
                name = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
                yield name.removesuffix(".__init__")


@pytest.mark.parametrize("name", list(modules_with_examples()))
def test_examples_of_docstrings(name):
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert found.attempted and not found.failed


def test_mkdocs_knows_every_page():
    text = (ROOT / "mkdocs.yml").read_text()
    for page in [*PAGES, *NOTEBOOKS]:
        assert page.relative_to(DOCS).as_posix() in text
