"""The page: one sound, self-contained file that tells what verify found."""

import html.parser
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from support.drawn_network import NETWORK, SAMPLES
from support.gated_networks import lowered
from support.random_networks import checkpoint_of, samples_of

from export import lower
from export.pages import findings, report, sections
from export.pages.figure_style import ReportError
from export.pages.page import Drawing, Section, html_report
from export.software import simulation as software
from export.verification.contract import holds
from snn_ssm.files import FileError

VOID = {"meta"}
DRAWN = 8  # confusion, misclassified, spikes, rates, membranes, margins, modes, kernels


def made_up():
    """What verify might have found on the drawn network."""
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
        "reference": "software",
        "layers": {
            name: {
                "spike_rate": 0.25, "smallest_margin": 1e-9, "mismatched_spikes": {"nest": 3 - i},
            }
            for i, name in enumerate(["layer0", "layer1"])
        },
        "versions": {"numpy": "2.0"},
    }


@pytest.fixture
def verification():
    return made_up()


class Checker(html.parser.HTMLParser):
    """Collects tags and text; refuses tags that are not closed in order. SVG text is text too."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text, self.cells = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)
        if self.open and {"td", "th"} & set(self.open):
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
    names = [p.name for p in network.layers]
    recording = software.run(network, samples, membranes=names)
    rows = verification.get("layers")
    if rows and list(rows) != names:
        verification = verification | {"layers": dict.fromkeys(names, rows["layer0"])}
    trace = recording.membranes["layer1"][1, :, 2]
    arguments = {
        "labels": np.array([0, 1, 1, 0]),
        "predictions": np.array([0, 1, 0, 0]),
        "membranes": {"torch": trace, "software": trace},
        "verification": verification,
        "provenance": {"data": "four samples", "date": "today"},
        "layer": "layer1",
        "neuron": 2,
        "sample": 1,
    } | changes
    report.write_report(path, network, samples, recording=recording, **arguments)
    return parse(path)


@pytest.fixture(scope="module")
def standard(tmp_path_factory):
    """The path of a report, and the report."""
    path = tmp_path_factory.mktemp("standard") / "report.html"
    return path, full_report(path, made_up())


def drawings(page, kind="wide"):
    return [attrs for tag, attrs in page.tags if tag == "svg" and attrs["class"] == kind]


def test_report_is_one_self_contained_file(standard):
    path, page = standard
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    assert path.stat().st_size < 2_000_000
    # Nothing is fetched: links lead into the page itself or are data.
    for tag, attrs in page.tags:
        for name in ("src", "href", "xlink:href"):
            if name in attrs:
                assert attrs[name].startswith(("#", "data:image/png;base64,")), tag
    assert not {"link", "iframe", "img", "object"} & {tag for tag, _ in page.tags}
    text = path.read_text(encoding="utf-8")
    assert "http" not in text and "@import" not in text
    assert {"viewport", None} >= {a.get("name") for t, a in page.tags if t == "meta"}


def test_every_figure_is_there_wide_and_narrow_and_described(standard):
    _, page = standard
    wide, narrow = drawings(page), drawings(page, "narrow")
    assert len(wide) == len(narrow) == DRAWN
    for one, other in zip(wide, narrow, strict=True):
        assert one["role"] == "img"
        assert len(one["aria-label"]) > 40 and one["aria-label"] == other["aria-label"]
        width, smaller = (float(a["viewbox"].split()[2]) for a in (one, other))
        assert smaller <= width
    said = {attrs["aria-label"] for attrs in wide}
    assert len(said) == DRAWN
    assert any("3 on the diagonal, 1 off it" in text for text in said)
    assert any("sample 2: 1 taken for 0" in text for text in said)


def test_ids_are_unique_and_references_lead_to_them(standard):
    path, page = standard
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids)) > DRAWN
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', path.read_text(encoding="utf-8")))
    assert used <= set(ids)


def test_the_colours_are_the_pages_own(standard):
    path, _ = standard
    body = path.read_text(encoding="utf-8").split("</style>", 1)[1]
    assert "var(--ink)" in body and "var(--quiet)" in body
    assert "#222222" not in body and "#6b6b6b" not in body
    # White is written on dark cells, and fills nothing.
    assert not re.search(r"<(path|rect)[^>]*fill: #ffffff", body)


def test_values_are_kept_for_the_pointer(standard):
    _, page = standard
    figures = [json.loads(attrs["data-axes"]) for attrs in drawings(page)]
    series = {one["name"] for axes in figures for panel in axes for one in panel["series"]}
    assert {"torch", "software - torch", "layer0"} <= series
    confusion = figures[0][0]
    assert confusion["x"]["names"] == [[0.0, "0"], [1.0, "1"]]
    for axes, attrs in zip(figures, drawings(page), strict=True):
        _, _, width, height = map(float, attrs["viewbox"].split())
        for panel in axes:
            x0, y0, x1, y1 = panel["box"]
            assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
    spikes = figures[2]
    assert [panel["x"]["label"] for panel in spikes] == ["time (ms)"] * len(spikes)
    assert spikes[1]["y"]["whole"] and not spikes[0]["y"]["whole"]


def test_report_tells_what_verify_found(standard):
    _, page = standard
    assert page.cells[:18] == [
        "backend", "accuracy (%)", "spikes of the reference", "mismatched spikes", "seconds",
        "first divergence",
        "software", "75.00", "12,345", "0", "1.50", "none",
        "nest", "75.00", "12,345", "3", "1.50", "sample 2, layer layer1, neuron 0, step 9",
    ]
    rows = {row: page.cells[page.cells.index(row) + 3] for row in ("E1", "E2", "E3", "E4", "E6")}
    assert rows == {
        "E1": "not compared", "E2": "holds", "E3": "DOES NOT HOLD", "E4": "not compared",
        "E6": "not compared",
    }
    at = page.cells.index("mismatched, nest")
    assert page.cells[at + 1 : at + 11] == [
        "layer0", "3", "0.2500", "1.00e-09", "3", "layer1", "3", "0.2500", "1.00e-09", "2",
    ]
    text = " ".join(page.text)
    assert "snn-ssm report: smnist" in text
    assert "E3 does not hold on 4 samples." in text
    assert "numpy 2.0" in text
    assert "2 layers, 8 neurons (readout included), 14 modes, 21 synapses" in text
    assert page.cells[-4:] == ["data", "four samples", "date", "today"]


def test_a_report_without_errors_says_so(tmp_path, verification, undrawn):
    verification["contract"]["E3"] = True
    verification["backends"]["nest"] |= {"mismatched_spikes": 0, "first_divergence": None}
    verification["layers"]["layer0"]["smallest_margin"] = None
    verification["E5"] = {"mismatched_spikes": 1234, "same_class": 0.9995}
    verification["ties"] = {"membranes": 4321, "mismatched_spikes": {"nest": 0}}
    labels = np.array([0, 1, 1, 0])
    page = full_report(tmp_path / "r.html", verification, predictions=labels)
    text = " ".join(page.text)
    assert "E2, E3 hold: 4 samples, 12,345 spikes compared." in text
    assert "All 4 samples were taken for what they are." in text
    assert "4,321 membranes are at their threshold but for rounding" in text
    assert "differs in 1,234 spikes" in text and "99.95% of answers" in text
    assert len(drawings(page)) == DRAWN - 1  # none is misclassified
    assert "not recorded" in page.cells


@pytest.mark.parametrize(("backends", "contract", "said", "good"), [
    ({"nest": 0}, {}, "No row of the contract was compared: 4 samples, 12,345 spikes", True),
    ({"brian2": 3}, {}, "Spikes of brian2 differ from those of software on 4 samples.", False),
    ({"brian2": 3}, {"E2": True}, "Spikes of brian2 differ", False),
    ({"spinnaker-software": 3}, {"E2": True}, "E2 hold: 4 samples", True),  # other arithmetic
    ({"nest": 3}, {"E3": False}, "E3 does not hold on 4 samples.", False),
])
def test_the_verdict_is_the_exit_status(verification, backends, contract, said, good):
    found = verification["backends"]
    verification["backends"] = {"software": found["software"]} | {
        name: found["nest"] | {"mismatched_spikes": count} for name, count in backends.items()
    }
    verification["contract"] = contract
    text, verdict = findings.verdict(verification)
    assert text.startswith(said) and verdict == good == holds(verification)


def test_samples_of_one_step_have_no_kernels_to_draw():
    network = lower(checkpoint_of(5, steps=1))
    [section] = sections.modes(network, "layer0")
    assert len(section.drawings) == 1
    section.drawings[0].draw(4.0).draw_without_rendering()
    assert len(sections.modes(NETWORK, "layer0")[0].drawings) == 2


def test_what_spinnaker_would_make_of_it(tmp_path, verification, undrawn):
    checkpoint = checkpoint_of(5, steps=20)
    samples = samples_of(checkpoint, 4)
    page = full_report(tmp_path / "r.html", verification, lower(checkpoint), samples)
    text = " ".join(page.text)
    at = page.cells.index("factor, all spiking")
    assert page.cells[at + 1 : at + 4] == ["layer0", "6", "1"]
    assert "mean instructions a core and tick" in page.cells
    assert "state bits used" in text  # of the plan's tables


def test_the_same_report_has_the_same_bytes_and_leaves_pyplot_alone(standard, tmp_path):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    before, settings = pyplot.get_fignums(), dict(pyplot.rcParams)
    full_report(tmp_path / "again.html", made_up())
    assert (tmp_path / "again.html").read_bytes() == standard[0].read_bytes()
    assert (pyplot.get_fignums(), dict(pyplot.rcParams)) == (before, settings)


@pytest.mark.parametrize(("kind", "reset", "found"), [
    ("gsu", "does not reset it", "would saturate if they went beyond what is planned for"),
    ("token lif", "resets it to 0", "The logits of LIF cells are computed from spike counts"),
])
def test_reports_of_other_kinds(tmp_path, verification, drawn_wide, kind, reset, found):
    _, network, samples = lowered(kind, count=4)
    page = full_report(tmp_path / "r.html", verification, network, samples)
    text = " ".join(page.text)
    assert f"a spike {reset}." in text
    assert "Network: 2 layers, " in text  # a ternary layer is two populations
    assert f"as {network.source.encoding}; 20 steps" in text
    assert found in text and "It does not run there" not in text
    assert len(drawings(page)) == DRAWN


def blank(width):
    return Figure(figsize=(1, 1))


def test_text_is_escaped(tmp_path):
    evil = "<script>alert('x')</script> & \"quotes\""
    path = tmp_path / "page.html"
    section = Section(evil, [evil], [[{evil: evil}]], [evil], [Drawing(blank, evil, evil)])
    html_report(path, evil, (evil, True), [section])
    page = parse(path)
    assert [tag for tag, _ in page.tags].count("script") == 1  # the page's own
    assert "<script>alert" not in path.read_text(encoding="utf-8")
    assert page.cells == [evil, evil]
    # Title, heading, verdict, link, section, paragraph, header, cell, preformatted.
    assert page.text.count(evil) == 9
    assert f"Figure 1. {evil}" in page.text
    assert {attrs["aria-label"] for attrs in drawings(page)} == {evil}


def test_a_page_without_sections(tmp_path):
    html_report(tmp_path / "page.html", "empty", ("nothing", False), [])
    page = parse(tmp_path / "page.html")
    assert {tag for tag, _ in page.tags}.isdisjoint({"table", "svg", "pre", "section"})
    assert ("p", {"class": "verdict bad"}) in page.tags


def test_rows_of_different_keys_are_refused(tmp_path):
    section = Section("s", tables=[[{"a": 1}, {"b": 1}]])
    with pytest.raises(ReportError, match="row 1 of the table has the columns b; row 0 has a"):
        html_report(tmp_path / "page.html", "t", ("v", True), [section])
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_written(tmp_path):
    with pytest.raises(FileError, match=r"absent.*Name a file in a directory"):
        html_report(tmp_path / "absent" / "page.html", "t", ("v", True), [])


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


def test_a_page_may_name_files_that_are_no_utf_8(tmp_path):
    html_report(tmp_path / "page.html", "of \udcff", ("the same", True), [])
    assert "of \\udcff" in (tmp_path / "page.html").read_text(encoding="utf-8")
