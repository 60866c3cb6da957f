"""Recurrent layers and learned delays: what they compute, and where their gradients go."""

import itertools

import numpy as np
import pytest
import torch

from snn_ssm.config import Config, ConfigError, ModelConfig, TaskConfig, TrainingConfig
from snn_ssm.delays import whole_delays
from snn_ssm.model.block import Block
from snn_ssm.model.delays import Delays, delayed, width_at
from snn_ssm.model.network import build_network
from snn_ssm.training.methods import cut_time, narrow
from snn_ssm.training.optimisation import parameter_groups

SMALL = {"channels": 5, "depth": 2, "modes": 2, "inputs": 2, "classes": 3, "input_scale": 0.3,
         "norm": "none", "dt_min": 0.05, "dt_max": 0.5}
WIRINGS = {
    "recurrent": {"recurrent": True},
    "delays a synapse": {"delays": 4},
    "delays an axon": {"delays": 4, "delay_per": "axon"},
    "both": {"recurrent": True, "recurrent_delays": 3, "delays": 4},
    "both, an axon": {"recurrent": True, "recurrent_delays": 3, "delays": 4, "delay_per": "axon"},
}


def network_of(cells="native", **changes):
    fixed = {} if cells == "native" else {"cells": cells}
    return build_network(ModelConfig(**(SMALL | fixed | changes)), seed=1).double()


def inputs(steps=12, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 16, (3, 2, steps)))


ACTING = {
    "soft": {"reset": "soft"},
    "hard, refractory": {"reset": "hard", "refractory": 2},
    "history": {"history": 3},
    "soft, refractory, history": {"reset": "soft", "refractory": 1, "history": 2},
}
MEMBERS = [
    *itertools.product(["native", "lif"], WIRINGS, [{}]),
    *itertools.product(["native"], ["recurrent", "both, an axon"], ACTING.values()),
    ("native", "delays a synapse", {"reset": "hard", "history": 3}),
    ("native", "recurrent", {"reset": "soft", "mode_init": "s4d-real", "modes": 1}),
]


@pytest.mark.parametrize(("cells", "wiring", "acting"), MEMBERS, ids=str)
def test_training_runs_what_the_steps_run(cells, wiring, acting):
    network = network_of(cells, **WIRINGS[wiring], **acting).eval()
    with torch.no_grad():
        for block in network.blocks:
            if block.recurrent is not None:
                block.recurrent.weight *= 4  # so that spikes matter
    whole, steps = network(inputs()), network.steps(inputs())
    rates = [float(s.mean()) for s in steps.outputs]
    assert all(0.01 < rate < 0.99 for rate in rates)
    for one, two in zip(whole.outputs, steps.outputs, strict=True):
        assert torch.equal(one, two)
    torch.testing.assert_close(whole.logits, steps.logits, rtol=1e-12, atol=1e-12)


def test_a_recurrent_layer_hears_itself_a_step_later():
    network = network_of(depth=1, recurrent=True, recurrent_delays=2).eval()
    block = network.blocks[0]
    torch.manual_seed(0)
    u = torch.randn(2, 5, 9, dtype=torch.float64)
    y, s = block.respond(u)
    delays = whole_delays(block.recurrent.delays.position.detach().numpy(), 2)
    assert set(delays.ravel()) == {0, 1, 2}
    driven, weight = u.clone(), block.recurrent.weight.detach()
    for h, j in np.ndindex(5, 5):
        late = 1 + delays[h, j]
        driven[:, h, late:] += weight[h, j] * s[:, j, : 9 - late].detach()
    torch.testing.assert_close(block.ssm(driven), y, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(block.ssm(u), y)


@pytest.mark.parametrize("per", ["synapse", "axon"])
def test_evaluation_delays_by_whole_steps(per):
    torch.manual_seed(0)
    delays = Delays(ModelConfig(**SMALL, delays=4, delay_per=per), 4).double().eval()
    weight, s = torch.randn(5, 5).double(), (torch.rand(2, 5, 11) < 0.4).double()
    found = delayed(weight, s, delays)
    whole = np.broadcast_to(whole_delays(delays.position.detach().numpy(), 4), (5, 5))
    expected = torch.zeros(2, 5, 11).double()
    for h, j in np.ndindex(5, 5):
        d = int(whole[h, j])
        expected[:, h, d:] += weight[h, j] * s[:, j, : 11 - d]
    assert len(np.unique(whole)) > 2
    torch.testing.assert_close(found, expected)
    before = (torch.rand(2, 5, 4) < 0.5).double()
    later = delayed(weight, torch.cat([before, s], -1), delays)[..., 4:]
    torch.testing.assert_close(delayed(weight, s, delays, before), later)


def test_a_delay_in_training_is_a_triangle_that_shrinks():
    delays = Delays(ModelConfig(**SMALL, delays=4, delay_per="axon"), 4).double()
    with torch.no_grad():  # d = 1.25
        delays.position[:] = float(np.log(1.25 / (4 - 1.25)))
    delays.width = 1.0
    raw = np.maximum(0, 1 - np.abs(np.arange(5) - 1.25) / 2)
    assert delays.taps()[0].tolist() == pytest.approx((raw / raw.sum()).tolist())
    delays.width = 0.0
    assert delays.taps()[0].tolist() == pytest.approx([0, 0.75, 0.25, 0, 0])
    delays.eval()
    assert delays.taps()[0].tolist() == [0, 1, 0, 0, 0]


def test_the_width_goes_from_half_the_range_to_nothing():
    assert width_at(10, 0.0) == 5.0
    assert width_at(10, 1.0) == width_at(10, 2.0) == 0.0
    found = [width_at(10, t) for t in np.linspace(0, 0.999, 50)]
    assert found == sorted(found, reverse=True) and found[-1] < 0.011
    network = network_of(delays=10, recurrent=True, recurrent_delays=6)
    narrow(network, 0, 100)
    widths = sorted(m.width for m in network.modules() if isinstance(m, Delays))
    assert widths == [3.0, 3.0, 5.0, 5.0]
    narrow(network, 50, 100)
    assert {m.width for m in network.modules() if isinstance(m, Delays)} == {0.0}


def test_a_delay_is_learned():
    """A spike train and the same 6 steps later: the axon's delay becomes 6."""
    torch.manual_seed(0)
    config = ModelConfig(channels=1, delays=12, delay_per="axon")
    delays, weight = Delays(config, 12), torch.ones(1, 1)
    optimiser = torch.optim.Adam(delays.parameters(), 0.05)
    s = (torch.rand(16, 1, 60) < 0.15).float()
    wanted = torch.nn.functional.pad(s, (6, 0))[..., :60]
    for step in range(150):
        delays.width = width_at(12, step / 120)
        optimiser.zero_grad()
        (delayed(weight, s, delays) - wanted).square().mean().backward()
        optimiser.step()
    assert whole_delays(delays.position.detach().numpy(), 12).tolist() == [6]
    delays.eval()
    assert torch.equal(delayed(weight, s, delays), wanted)


def test_whole_delays_round_half_to_even_and_do_not_overflow():
    found = whole_delays([-1e4, -np.log(3), 0.0, np.log(3), 1e4], 5)
    assert found.tolist() == [0, 1, 2, 4, 5] and found.dtype == np.int64


# --- gradients --------------------------------------------------------------------------------


def _gradients(through=True, steps=0, recurrent=True):
    network = network_of("lif", recurrent=recurrent, depth=1)
    training = TrainingConfig(through_time=through, gradient_steps=steps)
    torch.manual_seed(3)
    cut_time(network, training, 12)
    network(inputs()).logits.square().sum().backward()
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


def test_gradients_go_through_the_loop_and_through_time():
    """By central differences, through a smooth activation in place of the spike."""
    network = network_of(depth=1, recurrent=True, activation="tanh")
    weight, p = network.blocks[0].recurrent.weight, inputs()
    network(p).logits.square().sum().backward()
    for at in ((0, 1), (3, 3), (4, 0)):
        sides = []
        for sign in (1, -1):
            with torch.no_grad():
                weight[at] += sign * 1e-5
                sides.append(float(network(p).logits.square().sum()))
                weight[at] -= sign * 1e-5
        assert float(weight.grad[at]) == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-6)


def test_gradients_that_stay_within_a_step_are_others():
    whole, within = _gradients(), _gradients(through=False)
    assert any(not torch.allclose(whole[k], within[k]) for k in whole)
    # what comes from the step before is a constant: its matrix learns, and no more goes back
    assert within["blocks.0.recurrent.weight"].abs().sum() > 0


def test_gradients_of_some_steps():
    whole, some, all_of_them = _gradients(), _gradients(steps=3), _gradients(steps=12)
    name = "blocks.0.recurrent.weight"
    assert not torch.allclose(whole[name], some[name])
    torch.testing.assert_close(whole[name], all_of_them[name])


def test_delays_are_not_decayed():
    network = network_of(delays=4, recurrent=True, recurrent_delays=2)
    groups = parameter_groups(network, TrainingConfig())
    plain = {id(p) for p in groups[1]["params"]}
    positions = [p for n, p in network.named_parameters() if n.endswith("delays.position")]
    assert len(positions) == 4 and {id(p) for p in positions} <= plain
    assert id(network.blocks[0].recurrent.weight) in {id(p) for p in groups[2]["params"]}


@pytest.mark.parametrize(("changes", "key"), [
    ({"recurrent": True, "bidirectional": True}, "model.bidirectional"),
    ({"recurrent": True, "membrane_norm": True}, "model.membrane_norm"),
    ({"recurrent": True, "cells": "stock", "mode_init": "s4d-real", "modes": 1}, "model.cells"),
    ({"recurrent": True, "architecture": "transformer"}, "model.architecture"),
    ({"delays": 3, "architecture": "transformer"}, "model.architecture"),
    ({"delays": 3, "mixing": "glu"}, "model.mixing"),
    ({"delays": -1}, "model.delays"),
    ({"recurrent": True, "recurrent_delays": 1001}, "model.recurrent_delays"),
    ({"recurrent_delays": 2}, "model.recurrent_delays"),
    ({"delay_per": "dendrite"}, "model.delay_per"),
])
def test_wirings_that_cannot_be(changes, key):
    with pytest.raises(ConfigError, match=rf"\[{key}\] is "):
        ModelConfig(**changes)


def test_recurrent_layers_may_cut_their_gradients():
    cut = TrainingConfig(through_time=False, gradient_steps=4)
    Config(TaskConfig(), ModelConfig(recurrent=True), cut)
    with pytest.raises(ConfigError, match="recurrent = false"):
        Config(TaskConfig(), ModelConfig(), cut)


def test_a_block_without_a_loop_has_none():
    block = Block(ModelConfig(**SMALL), torch.Generator())
    assert block.recurrent is None and "recurrent" not in "".join(block.state_dict())
