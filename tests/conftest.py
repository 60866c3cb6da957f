"""Fixtures, and how the tests run: one thread for every library, since the tests
are small and simulators spin on the others, and the same examples on every machine."""

import html
import os
import shutil
import signal

for _variable in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402
from support.files import ROOT  # noqa: E402

from export.lowering.network import lower  # noqa: E402

# No timed tests, and the same examples on every machine.
settings.register_profile(
    "project",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("project")


@pytest.fixture(scope="session", autouse=True)
def interrupts():
    """Children hear Ctrl-C, also where a shell runs the tests in its background, deaf to it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def vectors():
    """Numbers computed by the paper's authors' own code (tests/data/README.md)."""
    with np.load(ROOT / "tests" / "data" / "paper_vectors.npz") as archive:
        return dict(archive)


@pytest.fixture
def quiet_nest():
    """NEST prints errors only."""
    import nest

    nest.verbosity = nest.VerbosityLevel.ERROR


@pytest.fixture
def undrawn(monkeypatch):
    """Pages without their drawings, which take seconds; those are tests/pages' and the demo's."""
    monkeypatch.setattr("export.pages.page.inline_svg", _empty)


@pytest.fixture
def drawn_wide(monkeypatch):
    """Pages with the drawings of wide windows only."""
    from export.pages.svg import inline_svg

    def drawn(figure, alt, name, kind):
        return (inline_svg if kind == "wide" else _empty)(figure, alt, name, kind)

    monkeypatch.setattr("export.pages.page.inline_svg", drawn)


def _empty(figure, alt, name, kind):
    return f'<svg class="{kind}" aria-label="{html.escape(alt)}"></svg>'


@pytest.fixture(scope="module")
def made_job(tmp_path_factory):
    """A network and its job; a test that changes something takes ``job_files``."""
    from support.job_runs import CHECKPOINT, SAMPLES, make

    return make(tmp_path_factory.mktemp("made"), lower(CHECKPOINT), SAMPLES)


@pytest.fixture
def job_files(made_job, tmp_path):
    """A copy of the network and its job, at another place."""
    return shutil.copytree(made_job, tmp_path / "moved here")
