"""What is built from the repository: the wheel has its data, the sdist all that its tests need."""

import email
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest
from support.files import ROOT

PACKAGES = ("snn_ssm", "export", "pynn_models")
LEFT_OUT = {"__pycache__", "build", "dist", "site", "demo", "runs", "venv"}


def is_of_the_repository(path):
    parts = path.relative_to(ROOT).parts
    return not any(
        part in LEFT_OUT or part.endswith(".egg-info") or (part.startswith(".") and part != ".ci")
        for part in parts
    )


def files_of_the_repository():
    """What is neither a link nor left out; caches, in which others write now, are not entered."""
    found = set()
    for root, folders, files in os.walk(ROOT):
        here = type(ROOT)(root)
        folders[:] = [name for name in folders if is_of_the_repository(here / name)]
        found |= {here / name for name in files if is_of_the_repository(here / name)}
    return {path.relative_to(ROOT).as_posix() for path in found if not path.is_symlink()}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The names in the sdist and in the wheel, and the wheel's metadata; built from a copy."""
    pytest.importorskip("setuptools", minversion="77")
    folder = tmp_path_factory.mktemp("built")

    def left_out(directory, names):
        here = type(ROOT)(directory)
        return [name for name in names if not is_of_the_repository(here / name)]

    shutil.copytree(ROOT, folder / "copy", ignore=left_out, symlinks=True)
    code = (
        "import sys; from setuptools import build_meta as b; "
        "out = sys.argv[1]; b.build_sdist(out); b.build_wheel(out)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=folder / "copy", capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr
    [sdist], [wheel] = folder.glob("*.tar.gz"), folder.glob("*.whl")
    with tarfile.open(sdist) as archive:
        source = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        [where] = [name for name in names if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(archive.read(where))
    return source, names, metadata


def test_the_sdist_is_the_repository(built):
    source, _, _ = built
    expected = files_of_the_repository()
    assert {"tests/data/paper_vectors.npz", "Makefile", "MANIFEST.in"} <= expected
    assert expected - source == set()
    # What is a link in a clone is a copy there.
    assert "examples/checkpoints/smnist-stock/config.toml" in source


def test_the_wheel_is_the_three_packages_with_their_data(built):
    _, wheel, _ = built
    assert {name.split("/")[0] for name in wheel if ".dist-info/" not in name} == set(PACKAGES)
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert path.relative_to(ROOT).as_posix() in wheel
        assert f"{package}/py.typed" in wheel


def test_the_metadata(built):
    _, _, metadata = built
    assert metadata["Requires-Python"] == "<3.14,>=3.11"
    assert {"Typing :: Typed", "Programming Language :: Python :: 3.13"} <= set(
        metadata.get_all("Classifier")
    )
    assert metadata["Keywords"] and metadata["Author"] and metadata.get_all("Project-URL")
    extras = set(metadata.get_all("Provides-Extra"))
    assert extras >= {"train", "nest", "spinnaker", "docs", "dev", "completion"}
    text = metadata.get_payload()
    assert text.startswith("# snn-ssm")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links and all(link.startswith(("https://", "#")) for link in links)


def setup_module():
    """setup.py as a module."""
    spec = importlib.util.spec_from_file_location("setup_of_snn_ssm", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


README = "See [jobs](docs/jobs.md), [a](https://a.b/c), [here](#use).\n\n![Spikes](d/r.png)\n\nEnd"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", "See jobs, [a](https://a.b/c), [here](#use).\n\nEnd"),
        (
            "https://host/us/it/",
            "See [jobs](https://host/us/it/blob/main/docs/jobs.md), [a](https://a.b/c), "
            "[here](#use).\n\n![Spikes](https://host/us/it/raw/main/d/r.png)\n\nEnd",
        ),
    ],
)
def test_the_readme_on_a_package_index(url, expected):
    pytest.importorskip("setuptools")
    assert setup_module().long_description(README, url) == expected


def test_one_version_everywhere():
    import snn_ssm

    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {snn_ssm.__version__}\n" in citation
    assert f"## {snn_ssm.__version__}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def started(tmp_path, *command):
    """A command in ``tmp_path``, with that directory first on Python's path."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    return subprocess.run(
        [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True
    )


@pytest.fixture(params=["export.py", "export/__init__.py", "export/notes.txt"])
def users_export(request, tmp_path):
    """A directory with an ``export`` of the user's own: a module, a package, a plain folder."""
    path = tmp_path / request.param
    path.parent.mkdir(exist_ok=True)
    path.write_text("raise SystemExit('the module of the user was run')\n")
    return tmp_path


CONSOLE_SCRIPT = "import sys; from snn_ssm.__main__ import main; sys.exit(main())"


@pytest.mark.parametrize("start", [("-m", "snn_ssm"), ("-c", CONSOLE_SCRIPT)])
def test_a_users_export_does_not_hide_ours_from_the_command_line(users_export, start):
    done = started(users_export, *start, "config", "smnist")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[task]")


def test_nor_from_the_process_that_maps_on_a_board(tmp_path, monkeypatch):
    pytest.importorskip("spynnaker", reason="sPyNNaker is not installed")
    from support.random_networks import checkpoint_of, samples_of

    from export import lower
    from export.boards.config import Board
    from export.boards.execution import execute

    checkpoint = checkpoint_of(5, steps=8, channels=2, depth=1)
    for name in ("export.py", "export/__init__.py"):  # of the two Python takes the package
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("raise SystemExit('the module of the user was run')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    found = execute(lower(checkpoint), samples_of(checkpoint, 1), Board())
    assert [row["name"] for row in found.report["populations"]] == ["input", "layer0", "readout"]


def test_a_shell_that_asks_is_answered(tmp_path):
    pytest.importorskip("argcomplete")
    asked = tmp_path / "completions"
    line = "snn-ssm ver"
    environment = {
        **os.environ, "_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)),
        "_ARGCOMPLETE_STDOUT_FILENAME": str(asked), "PYTHONPATH": str(ROOT),
    }
    subprocess.run([sys.executable, "-m", "snn_ssm"], env=environment, check=False)
    assert asked.read_text().split() == ["verify"]
