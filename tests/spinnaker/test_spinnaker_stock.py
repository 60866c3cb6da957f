"""The stock cell against an independent scalar implementation, bit for bit, and its refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.spinnaker_reference import Slots, StockNeuron

from pynn_models.spinnaker import (
    Arrival,
    FixedPointError,
    StockCell,
    net_input,
    ring_buffer,
    run_stock,
    split_weights,
    stock_constants,
)
from pynn_models.spinnaker.stock import synapse_constants

NAMES = tuple(StockCell.__dataclass_fields__)


def parameters_of(rng, size, memoryless=False):
    """Random cells by name; ``memoryless``: V is the summed current, as when lowered."""
    p = {
        "tau_m": rng.uniform(0.5, 50, size).round(3),
        "cm": rng.uniform(0.2, 3, size).round(3),
        "tau_refrac": rng.choice([0.0, 0.1, 1.0, 2.5, 7.0], size),
        "tau_syn_E": rng.uniform(0.3, 60, size).round(3),
        "tau_syn_I": rng.uniform(0.3, 60, size).round(3),
        "v_rest": rng.uniform(-70, -60, size).round(2),
        "v_reset": rng.uniform(-80, -60, size).round(2),
        "v_thresh": rng.uniform(-60, -40, size).round(2),
        "i_offset": rng.normal(size=size).round(3),
    }
    if memoryless:
        flat = dict.fromkeys(("v_rest", "v_reset", "tau_refrac", "i_offset"), np.zeros(size))
        p |= flat | {"tau_m": np.full(size, 0.0625), "cm": np.full(size, 0.0625)}
        p |= {"v_thresh": rng.uniform(0.1, 2, size).round(3)}
    return p


@st.composite
def networks(draw):
    """(rng seed, layer sizes, delays by (i, l), shifts, weight limit, timestep, memoryless)."""
    sizes = draw(st.lists(st.integers(1, 5), min_size=2, max_size=4))
    pairs = [(i, j) for j in range(1, len(sizes)) for i in range(j)]
    return {
        "seed": draw(st.integers(0, 2**32 - 1)),
        "sizes": sizes,
        "delays": {pair: draw(st.integers(1, 6)) for pair in pairs},
        "shifts": [(draw(st.integers(0, 15)), draw(st.integers(0, 15))) for _ in sizes],
        "limit": draw(st.sampled_from([300, 5000, 65535])),
        "timestep": draw(st.sampled_from([0.1, 1.0, 2.0])),
        "memoryless": draw(st.booleans()),
    }


@settings(max_examples=25)
@given(networks())
def test_random_networks_equal_the_scalar_model(case):
    """Layers that drive all later ones over their own delays, both receptors, two samples."""
    rng = np.random.default_rng(case["seed"])
    sizes, steps, samples = case["sizes"], 30, 2
    cells = [parameters_of(rng, n, case["memoryless"]) for n in sizes]
    weights = {
        pair: rng.integers(0, case["limit"] + 1, (2, sizes[pair[0]], sizes[pair[1]]))
        for pair in case["delays"]
    }
    emitted = [rng.random((samples, steps, sizes[0])) < 0.4]
    currents = [rng.integers(-(2**16), 2**16, (samples, steps, n), np.int32) for n in sizes]
    membranes = [None]
    for layer in range(1, len(sizes)):
        buffers = [
            ring_buffer(
                [
                    Arrival(emitted[i], weights[i, layer][kind].astype(np.uint16), delay)
                    for (i, j), delay in case["delays"].items()
                    if j == layer
                ]
            )
            for kind in (0, 1)
        ]
        run = run_stock(
            stock_constants(StockCell(**cells[layer]), case["timestep"]),
            *buffers,
            case["shifts"][layer],
            current=currents[layer],
            membrane=True,
        )
        emitted.append(run.spikes)
        membranes.append(run.membrane)

    for b in range(samples):
        slots = [[Slots(n, steps) for _ in (0, 1)] for n in sizes]
        neurons = [
            [
                StockNeuron(
                    {name: cells[layer][name][h] for name in NAMES},
                    case["timestep"],
                    case["shifts"][layer],
                )
                for h in range(n)
            ]
            for layer, n in enumerate(sizes)
        ]
        for t in range(steps):
            for layer, n in enumerate(sizes):
                fired = emitted[0][b, t].tolist()
                if layer:
                    results = [
                        neurons[layer][h].tick(
                            [slots[layer][kind].rows[t][h] for kind in (0, 1)],
                            int(currents[layer][b, t, h]),
                        )
                        for h in range(n)
                    ]
                    fired = [spike for spike, _ in results]
                    assert emitted[layer][b, t].tolist() == fired
                    assert membranes[layer][b, t].tolist() == [v for _, v in results]
                for (i, j), delay in case["delays"].items():
                    for h in np.flatnonzero(fired) if i == layer else ():
                        for kind in (0, 1):
                            slots[j][kind].add(t + delay, weights[i, j][kind, h].tolist())


def test_a_spike_by_hand():
    """tau_syn_E 5 ms, dt 1 ms: 1 nA arrives as 0.9063 nA, V follows from the tick's own input."""
    cell = StockCell(tau_m=20.0, cm=1.0, v_rest=0.0, v_reset=-1.0, v_thresh=0.8, tau_refrac=2.0)
    exc = np.zeros((1, 7, 1), np.uint16)
    exc[0, 1] = 32768
    run = run_stock(stock_constants(cell, 1.0), exc, None, (0, 0), membrane=True)
    v = run.membrane[0, :, 0] / 32768
    assert run.spikes[0, :, 0].tolist() == [False, True, False, False, False, False, False]
    assert v[:2].tolist() == [0, 0]  # recorded before the update
    assert v[2:5].tolist() == [-1, -1, -1]  # reset, and two ticks of refractoriness
    assert v[5] > -1


def test_defaults_are_pynns():
    cells = pytest.importorskip("pyNN.standardmodels.cells", reason="PyNN is not installed")
    cell = StockCell()
    expected = cells.IF_curr_exp.default_parameters
    assert {name: getattr(cell, name) for name in NAMES} == expected


def test_a_membrane_at_its_threshold_fires():
    """A membrane without memory is its current: one unit below 1 nA, at it, one above."""
    cell = StockCell(
        tau_m=0.0625, cm=0.0625, v_rest=0.0, v_reset=0.0, v_thresh=1.0, tau_refrac=0.0
    )
    current = np.array([[[32767], [32768], [32769]]], np.int32)
    run = run_stock(stock_constants(cell, 1.0), None, None, (0, 0), current=current)
    assert run.spikes[0, :, 0].tolist() == [False, True, True]


def test_inputs_may_be_left_out():
    constants = stock_constants(StockCell(tau_syn_E=[5.0, 7.0]), 1.0)
    buffer = np.arange(10, dtype=np.uint16).reshape(1, 5, 2) * 1000
    zero = np.zeros_like(buffer)
    alone = run_stock(constants, buffer, None, (3, 0), membrane=True)
    both = run_stock(
        constants, buffer, zero, (3, 0), current=zero.astype(np.int32), membrane=True
    )
    assert (alone.membrane == both.membrane).all()
    current = np.full((1, 5, 2), 32768, np.int32)
    driven = run_stock(constants, None, None, (0, 0), current=current, membrane=True)
    assert (driven.membrane[0, 1] > driven.membrane[0, 0]).all()
    assert run_stock(constants, buffer, None, (3, 0)).membrane is None
    started = run_stock(
        constants, buffer, None, (3, 0), v_init=np.array([0, 5]), membrane=True
    ).membrane
    assert started[0, 0].tolist() == [0, 5]


def test_buffers_saturate_and_drop_what_comes_too_late():
    spikes = np.array([[[1, 1], [0, 2], [1, 0]]], np.uint8)
    weights = np.array([[40000, 1], [30000, 2]], np.uint16)
    arrivals = [Arrival(spikes, weights, 1), Arrival(spikes, weights[:, ::-1].copy(), 2)]
    assert ring_buffer(arrivals)[0].tolist() == [
        [0, 0],
        [65535, 3],
        [60003, 65535],  # [60000, 4] + [3, 70000]
    ]


def test_sums_beyond_31_bits_saturate_and_counts_beyond_8_bits_are_kept():
    spikes = np.full((1, 1, 1), 40_000)
    weights = np.array([[65535, 1]], np.uint16)
    assert ring_buffer([Arrival(spikes, weights)]).tolist() == [[[65535, 40_000]]]


def test_weights_split_by_sign():
    exc, inh = split_weights([[0.5, -0.25], [0.0, 1.0]], (1, 0), scale=2.0)
    assert exc.tolist() == [[16384, 0], [0, 32768]]
    assert inh.tolist() == [[0, 16384], [0, 0]]
    u = net_input(exc[None], inh[None], (1, 0))
    assert u.tolist() == [[[32768, -16384], [0, 65536]]]
    assert net_input(None, inh[None], (1, 0)).tolist() == [[[0, -16384], [0, 0]]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: split_weights([[5.5]], 1), r"excitatory weight \[0, 0\] is 5.5.*below 4"),
        (lambda: split_weights([[-2.0]], (1, 0)), "inhibitory weight .* below 2"),
        (lambda: split_weights([[np.nan]], 1), "expected a finite"),
        (lambda: split_weights([[1.0]], 16), "shift is 16, expected 0 to 15"),
        (lambda: split_weights([[1.0]], (0, -1)), "inhibitory ring-buffer shift is -1, expected 0"),
        (lambda: ring_buffer([]), r"expected one shape"),
        (lambda: net_input(None, None, (0, 0)), "no ring buffer"),
        (
            lambda: Arrival(np.zeros((1, 2, 3), bool), np.zeros((3, 1))),
            "dtype float64, expected uint16",
        ),
        (
            lambda: Arrival(np.zeros((1, 2, 3)), np.zeros((3, 1), np.uint16)),
            "expected bool or integers",
        ),
        (
            lambda: Arrival(np.zeros((1, 2, 3), bool), np.zeros((2, 1), np.uint16)),
            r"expected \(B, L, pre\)",
        ),
        (
            lambda: Arrival(np.zeros((1, 2, 3), bool), np.zeros(3, np.uint16)),
            r"weights of shape \(3,\), expected .* and \(pre, post\)",
        ),
        (
            lambda: Arrival(np.zeros((1, 2, 3), bool), np.zeros((3, 1), np.uint16), -1),
            "delay -1",
        ),
        (lambda: stock_constants(StockCell(tau_m=[1, 2], cm=[1, 2, 3]), 1.0), r"tau_m.*\(2,\)"),
        (lambda: stock_constants(StockCell(cm=[1.0, 0.0]), 1.0), "tau_m / cm, neuron 1"),
        (lambda: stock_constants(StockCell(v_rest=1e6), 1.0), r"v_rest\[0\] is 1000000"),
        (lambda: stock_constants(StockCell(tau_syn_I=40000.0), 1.0), r"tau_syn_I\[0\].*decay of 0"),
        (
            lambda: run_stock(stock_constants(StockCell(), 1.0), None, None, (0, 0)),
            "at least one",
        ),
        (
            lambda: run_stock(
                stock_constants(StockCell(), 1.0), np.zeros((1, 2, 2), np.uint16), None, (0, 0)
            ),
            r"expected one shape \(B, L, 1\)",
        ),
        (
            lambda: run_stock(
                stock_constants(StockCell(), 1.0),
                np.zeros((1, 2, 1), np.uint16),
                None,
                (0, 0),
                v_init=np.zeros(3),
            ),
            "v_init of shape",
        ),
        (
            lambda: run_stock(
                stock_constants(StockCell(), 1.0),
                np.zeros((1, 2, 1), np.uint16),
                None,
                (0, 0),
                v_init=np.array([2**31]),
            ),
            "magnitudes up to 2147483648; expected .* at most 2147483647",
        ),
        (
            lambda: run_stock(
                stock_constants(StockCell(), 1.0), np.zeros((1, 2, 1), np.uint16), None, (0, 16)
            ),
            "inhibitory ring-buffer shift is 16",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(FixedPointError, match=message):
        call()


def test_slow_synapses_whose_scale_overflows_are_refused():
    """At tau_syn = 910.011 ms the board's init is 1 + 1.5e-7, of which it keeps 1.5e-7."""
    with pytest.raises(FixedPointError, match="input scale of 1.48e-07"):
        stock_constants(StockCell(tau_syn_E=910.010986328125), 1.0)
    for tau in range(1, 500 * 32768, 4999):
        if tau > 32768 // 10:
            synapse_constants(tau, 32768)
