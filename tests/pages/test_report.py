"""The page: one sound, self-contained file that tells what verify found."""

import base64
import html.parser
import re
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from support.drawn_network import NETWORK, SAMPLES
from support.gated_networks import lowered

from export.pages import report
from export.pages.figure_style import ReportError
from export.software import simulation as software
from snn_ssm.files import FileError

VOID = {"meta", "img"}


@pytest.fixture
def verification():
    found = {"mismatched_spikes": 0, "accuracy": 0.75, "seconds": 1.5, "first_divergence": None}
    divergence = {"sample": 2, "layer": "layer1", "neuron": 0, "step": 9, "margin": None}
    return {
        "samples": 4,
        "spikes": 12345,
        "spike_rate": 0.25,
        "backends": {
            "software": found,
            "nest": found | {"mismatched_spikes": 3, "first_divergence": divergence},
        },
        "contract": {"E2": True, "E3": False},
        "versions": {"numpy": "2.0"},
    }


class Checker(html.parser.HTMLParser):
    """Collects tags and text; refuses tags that are not closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text, self.cells = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.cells.append(data)


def parse(path):
    checker = Checker()
    content = path.read_text(encoding="utf-8")
    assert content.startswith("<!DOCTYPE html>")
    checker.feed(content)
    checker.close()
    assert checker.open == []
    return checker


def full_report(path, verification, network=NETWORK, samples=SAMPLES, **changes):
    recording = software.run(network, samples, membranes=["layer1"])
    trace = recording.membranes["layer1"][1, :, 2]
    arguments = {
        "labels": np.array([0, 1, 1, 0]),
        "predictions": np.array([0, 1, 0, 0]),
        "membranes": {"torch": trace, "software": trace},
        "verification": verification,
        "layer": "layer1",
        "neuron": 2,
        "sample": 1,
    } | changes
    report.write_report(path, network, samples, recording=recording, **arguments)
    return parse(path)


def test_report_is_one_self_contained_file(tmp_path, verification):
    path = tmp_path / "report.html"
    page = full_report(path, verification)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert path.stat().st_size < 2_000_000
    images = [attrs["src"] for tag, attrs in page.tags if tag == "img"]
    assert len(images) == 6
    for source in images:
        kind, data = source.split(",")
        assert kind == "data:image/svg+xml;base64"
        svg = base64.b64decode(data).decode()
        # Nothing inside is fetched: links lead into the image itself or are data.
        assert all(link.startswith(("#", "data:")) for link in re.findall(r'href="([^"]*)"', svg))
    others = [(tag, name) for tag, attrs in page.tags for name in attrs if name in ("src", "href")]
    assert others == [("img", "src")] * 6
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    assert "http" not in re.sub(r"base64,[^\"]*", "", path.read_text(encoding="utf-8"))
    assert {"viewport", None} >= {a.get("name") for t, a in page.tags if t == "meta"}


def test_report_tells_what_verify_found(tmp_path, verification):
    page = full_report(tmp_path / "r.html", verification)
    assert page.cells == [
        "backend", "accuracy (%)", "spikes of the reference", "mismatched spikes", "seconds",
        "first divergence",
        "software", "75.00", "12,345", "0", "1.50", "none",
        "nest", "75.00", "12,345", "3", "1.50", "sample 2, layer layer1, neuron 0, step 9",
    ]
    text = " ".join(page.text)
    assert "snn-ssm report: smnist" in text
    assert re.search(r"E2, [^.]*: holds\.", text)
    assert re.search(r"E3, [^.]*: DOES NOT HOLD\.", text)
    assert "numpy 2.0" in text
    assert "2 layers, 8 neurons (readout included), 14 modes, 21 synapses" in text


def test_the_same_report_has_the_same_bytes(tmp_path, verification):
    for name in ("a", "b"):
        full_report(tmp_path / name, verification)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(("kind", "reset"), [
    ("gsu", "does not reset it"), ("token lif", "resets it to 0"),
])
def test_reports_of_other_kinds(tmp_path, verification, kind, reset):
    _, network, samples = lowered(kind, count=4)
    page = full_report(tmp_path / "r.html", verification, network, samples)
    text = " ".join(page.text)
    assert f"a spike {reset}." in text
    assert "Network: 2 layers, " in text  # a ternary layer is two populations
    assert f"as {network.source.encoding}; 20 steps" in text
    assert len([tag for tag, _ in page.tags if tag == "img"]) == 6


def test_text_is_escaped(tmp_path):
    evil = "<script>alert('x')</script> & \"quotes\""
    path = tmp_path / "page.html"
    figure = Figure(figsize=(1, 1))
    report.html_report(path, evil, [{evil: evil}], [(figure, evil)], [evil])
    page = parse(path)
    assert "<script" not in path.read_text(encoding="utf-8")
    assert page.cells == [evil, evil]
    assert page.text.count(evil) == 5  # title, heading, header, cell, note
    assert f"Figure 1. {evil}" in page.text


def test_a_page_without_rows_figures_or_notes(tmp_path):
    report.html_report(tmp_path / "page.html", "empty", [], [], [])
    assert {tag for tag, _ in parse(tmp_path / "page.html").tags}.isdisjoint({"table", "ul", "img"})


def test_rows_of_different_keys_are_refused(tmp_path):
    with pytest.raises(ReportError, match="row 1 of the table has the columns b; row 0 has a"):
        report.html_report(tmp_path / "page.html", "t", [{"a": 1}, {"b": 1}], [], [])
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_written(tmp_path):
    with pytest.raises(FileError, match=r"absent.*Name a file in a directory"):
        report.html_report(tmp_path / "absent" / "page.html", "t", [], [], [])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample": 4}, "no sample 4; expected 0 to 3"),
        ({"layer": "layer9"}, "no layer 'layer9'.*layer0, layer1"),
        ({"neuron": 3}, "no neuron 3 in 'layer1'; expected 0 to 2"),
        ({"verification": {"spikes": 3}}, "verification has no 'backends'; it has spikes.*verify"),
        ({"verification": {"spikes": 3, "backends": {"nest": {}}}}, "'nest' has no 'first_div"),
    ],
)
def test_reports_that_cannot_be_made(tmp_path, verification, changes, message):
    path = tmp_path / "r.html"
    with pytest.raises(ReportError, match=message):
        full_report(path, **({"verification": verification} | changes))
    assert not path.exists()


def test_neither_pyplot_nor_torch_is_imported():
    code = (
        "import sys, export.pages; "
        "sys.exit(bool({'torch', 'matplotlib.pyplot'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_figure_of_pyplot_is_left_open(tmp_path, verification):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    before = pyplot.get_fignums()
    settings = dict(pyplot.rcParams)
    full_report(tmp_path / "r.html", verification)
    assert pyplot.get_fignums() == before
    assert dict(pyplot.rcParams) == settings
