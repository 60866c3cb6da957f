"""Event-based gated units from the checkpoint to a verdict, and by whom they are refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.egru_networks import egru_checkpoint
from support.random_networks import samples_of

from export import lower
from export.interchange import InterchangeError, to_nir
from export.pages import ReportError, plot_kernels, sections
from export.pynn.backend import BackendError
from export.pynn.script import ScriptError, script_files
from export.pynn.simulators import backend_for
from export.samples.readout import logits
from export.software import run
from export.spinnaker2.plan import Spinnaker2Error, plan_network
from export.streaming import NestSession, StreamError, stream
from export.verification.backends import runner
from export.verification.backends.kind import Options
from export.verification.cause import cause_of
from export.verification.contract import Verification
from pynn_models.nest import NestmlError, nestml_model
from snn_ssm.checkpoint import save_checkpoint
from snn_ssm.results.labels import model_name

CHECKPOINT = egru_checkpoint(0, depth=2)
NETWORK = lower(CHECKPOINT)
SAMPLES = samples_of(CHECKPOINT, 4)
LABELS = np.array([0, 1, 2, 0])


def software(samples, membranes):
    return run(NETWORK, samples, membranes=membranes)


def test_a_verdict_counts_events_and_names_the_first_that_differs():
    def turned(samples, membranes):
        found = software(samples, membranes)
        spikes = {name: s.copy() for name, s in found.spikes.items()}
        spikes["layer1"][min(1, len(samples) - 1), 3, 2] ^= True
        return replace(found, spikes=spikes)

    verification = Verification(NETWORK, {"software": software, "other": turned})
    verification.add(SAMPLES, LABELS)
    result = verification.result()
    events = sum(int(s.sum()) for s in software(SAMPLES, []).spikes.values())
    assert result["spikes"] == events > 0
    other = result["backends"]["other"]
    assert other["mismatched_spikes"] == 1 and result["backends"]["software"]["accuracy"] >= 0
    first = other["first_divergence"]
    assert (first["sample"], first["layer"], first["step"], first["neuron"]) == (1, "layer1", 3, 2)
    assert first["margin"] > 0 and first["cause"] is None
    assert cause_of(NETWORK.population("layer0").cell, *[np.zeros(1)] * 3) is None


def test_a_report_has_no_modes_to_draw():
    assert sections.modes(NETWORK, "layer0") == []
    verification = Verification(NETWORK, {"software": software})
    verification.add(SAMPLES, LABELS)
    recording = software(SAMPLES, ["layer0", "layer1"])
    section = sections.membranes(
        NETWORK, recording, {"software": recording.membranes["layer0"][0, :, 0]},
        verification.result(), "layer0", 0, 0,
    )  # fmt: skip
    assert "a spike carries it, and takes θ from it." in section.drawings[0].caption
    with pytest.raises(ReportError, match="'layer0' has no kernel: nothing of its egru cells"):
        plot_kernels(NETWORK, "layer0")


def test_a_stream_has_the_scores_of_the_samples():
    session = stream(NETWORK)
    found = software(SAMPLES, ["readout"])
    expected = logits(NETWORK, SAMPLES, found)
    for sample, scores in zip(SAMPLES, expected, strict=True):
        session.restart()
        assert np.array_equal(session.steps(sample)[-1].scores, scores)


def test_its_name():
    assert model_name(CHECKPOINT.config) == "EGRU"


REFUSALS = [
    (lambda: backend_for("brian2", NETWORK), BackendError,
     "pyNN.brian2 has no egru cells yet; expected a network of stock or lif cells"),
    (lambda: backend_for("neuron", NETWORK), BackendError, "pyNN.neuron has no egru cells yet"),
    (lambda: backend_for("mock", NETWORK), BackendError, "pyNN.mock has no egru cells yet"),
    (lambda: script_files(NETWORK, Path("net.py")), ScriptError,
     "a network of egru cells, which PyNN lacks; .* or use the backend software or nest"),
    (lambda: plan_network(NETWORK), Spinnaker2Error,
     "a network of egru cells, which no neuron for SpiNNaker 2 here is; expected native, stock"),
    (lambda: to_nir(NETWORK), InterchangeError,
     "population 'layer0': NIR has no node for its kind, egru"),
    (lambda: nestml_model(NETWORK.population("layer0").cell), NestmlError,
     "a EgruCell; expected a StateSpaceCell"),
    (lambda: NestSession(NETWORK), StreamError, "NEST cannot stream this network"),
]


@pytest.mark.parametrize(("ask", "error", "message"), REFUSALS)
def test_others_refuse_it_by_name(ask, error, message):
    with pytest.raises(error, match=message):
        ask()


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_torch_software_and_nest_agree(tmp_path, quiet_nest):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    save_checkpoint(tmp_path, CHECKPOINT)
    runners = {
        name: runner(name, NETWORK, Options(checkpoint=tmp_path))
        for name in ("torch", "software", "nest")
    }
    verification = Verification(NETWORK, runners)
    verification.add(SAMPLES, LABELS)
    result = verification.result()
    assert result["contract"] == {"E2": True, "E3": True} and result["spikes"] > 100
