"""The cell's description: validation, immutability, and the propagator's exact arithmetic."""

import ctypes
import ctypes.util
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynn_models import (
    PARAMETERS,
    CellParameterError,
    SnnSsmError,
    StateSpaceCell,
    propagator,
)
from pynn_models.cells import Branches, LeakyCell


def parameters(n_neurons=3, n_modes=4, **changes):
    per_mode, per_neuron = (n_neurons, n_modes), (n_neurons,)
    values = {
        "tau": np.full(per_mode, 10.0),
        "omega": np.full(per_mode, 0.1),
        "c_re": np.ones(per_mode),
        "c_im": np.zeros(per_mode),
        "d": np.zeros(per_neuron),
        "theta": np.ones(per_neuron),
        "bias": np.zeros(per_neuron),
    }
    return values | changes


def refusal(**changes):
    with pytest.raises(CellParameterError) as caught:
        StateSpaceCell(**parameters(**changes))
    return str(caught.value)


@pytest.mark.parametrize("n_modes", [0, 1, 5])
@pytest.mark.parametrize("n_neurons", [1, 3])
def test_sizes(n_neurons, n_modes):
    cell = StateSpaceCell(**parameters(n_neurons, n_modes))
    assert (cell.n_neurons, cell.n_modes, cell.is_complex) == (n_neurons, n_modes, True)


def test_real_modes_have_no_omega_and_no_c_im():
    cell = StateSpaceCell(**parameters(omega=None, c_im=None))
    assert not cell.is_complex
    assert cell.omega is None and cell.c_im is None


@pytest.mark.parametrize("left_out", ["omega", "c_im"])
def test_omega_and_c_im_come_together(left_out):
    message = refusal(**{left_out: None})
    assert left_out in message and "both" in message


def test_arrays_are_read_only_copies_in_float64_and_c_order():
    mine = np.asfortranarray(np.full((3, 4), 10, dtype=np.int32))
    cell = StateSpaceCell(**parameters(tau=mine))
    mine[:] = -1
    assert (cell.tau == 10.0).all()
    assert cell.tau.dtype == np.float64 and cell.tau.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        cell.tau[0, 0] = 1.0
    with pytest.raises(AttributeError):
        cell.tau = mine


def test_infinite_tau_and_theta_are_allowed():
    cell = StateSpaceCell(**parameters(tau=np.full((3, 4), np.inf), theta=np.full(3, np.inf)))
    assert np.isinf(cell.tau).all() and np.isinf(cell.theta).all()


@pytest.mark.parametrize("name", list(parameters()))
@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_a_bad_value_is_named_with_its_place(name, bad):
    values = parameters()[name].copy()
    place = (1, 2) if values.ndim == 2 else (2,)
    values[place] = bad
    message = refusal(**{name: values})
    assert name + "".join(f"[{i}]" for i in place) in message
    assert str(bad) in message and "expected" in message and "To do:" in message


@pytest.mark.parametrize("bad", [0.0, -3.5])
def test_tau_must_be_positive(bad):
    tau = np.full((3, 4), 10.0)
    tau[2, 0] = bad
    message = refusal(tau=tau)
    assert f"tau[2][0] is {bad} ms, expected tau > 0" in message
    assert "1 of 12" in message and "inf" in message


@pytest.mark.parametrize("name", ["omega", "c_re", "c_im", "d", "bias"])
def test_infinity_is_refused_elsewhere(name):
    values = parameters()[name].copy()
    values.flat[0] = np.inf
    assert "expected a finite number" in refusal(**{name: values})


@pytest.mark.parametrize("name", ["omega", "c_re", "c_im", "d", "theta", "bias"])
def test_a_wrong_shape_is_named_with_the_expected_one(name):
    message = refusal(**{name: np.ones((2, 4))})
    expected = (3, 4) if name in {"omega", "c_re", "c_im"} else (3,)
    assert f"{name} has shape (2, 4), expected {expected}" in message


@pytest.mark.parametrize("shape", [(4,), (0, 4), (1, 2, 3)])
def test_tau_must_be_a_matrix_of_at_least_one_neuron(shape):
    message = refusal(tau=np.ones(shape))
    assert str(shape) in message and "(H, N)" in message


@pytest.mark.parametrize("bad", [[[1.0], [1.0, 2.0]], "ten", np.ones((3, 4), complex), None])
def test_what_is_no_array_of_real_numbers_is_refused(bad):
    message = refusal(c_re=bad) if bad is not None else refusal(c_re=[[None] * 4] * 3)
    assert message.startswith("c_re is no array of real numbers")


# --- branches ---------------------------------------------------------------------------------


def branches(n_neurons=3, count=2, kind="gsu", **changes):
    shape = (n_neurons, count)
    values = {
        "value_bias": np.zeros(shape), "gate_bias": np.zeros(shape), "shift": np.zeros(shape),
        "gain": np.ones(shape),
    }
    return Branches(kind=kind, **(values | changes))


def branches_refused(**changes):
    with pytest.raises(CellParameterError) as caught:
        branches(**changes)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["glu", "gsu"])
@pytest.mark.parametrize("count", [1, 4])
def test_branches_of_a_cell(kind, count):
    cell = StateSpaceCell(**parameters(branches=branches(count=count, kind=kind)))
    assert (cell.branches.kind, cell.branches.count) == (kind, count)
    assert StateSpaceCell(**parameters()).branches is None


def test_branches_are_read_only_copies_in_float64():
    mine = np.asfortranarray(np.full((3, 2), 2, dtype=np.int32))
    found = branches(value_bias=mine)
    mine[:] = -1
    assert (found.value_bias == 2.0).all()
    assert found.value_bias.dtype == np.float64 and found.value_bias.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        found.value_bias[0, 0] = 1.0
    with pytest.raises(AttributeError):
        found.kind = "glu"


def test_a_kind_of_branch():
    assert branches_refused(kind="softmax") == (
        "Branches: kind is 'softmax'; use one of glu, gsu."
    )


@pytest.mark.parametrize("name", ["value_bias", "gate_bias", "shift", "gain"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_constant_of_a_branch_that_is_not_finite(name, bad):
    values = np.ones((3, 2))
    values[2, 1] = bad
    message = branches_refused(**{name: values})
    assert message.startswith(f"{name}[2][1] is {bad} dimensionless, expected a finite number")


@pytest.mark.parametrize(("name", "shape"), [
    ("value_bias", (3,)), ("value_bias", (0, 2)), ("value_bias", (3, 0)), ("value_bias", (3, 2, 1)),
    ("gate_bias", (3, 1)), ("shift", (2, 3)), ("gain", (3,)),
])
def test_a_constant_of_a_branch_of_the_wrong_shape(name, shape):
    message = branches_refused(**{name: np.ones(shape)})
    found = shape if name == "value_bias" else (3, 2)
    assert message == (
        f"Branches: {name} has shape {shape}, expected (H, P) as value_bias, {found}, of at least "
        "one neuron and one branch. Leave branches out of a cell that has none."
    )


@pytest.mark.parametrize(("name", "value"), [("shift", 0.5), ("gain", 2.0), ("gain", 0.0)])
def test_a_glu_has_no_shift_and_no_gain(name, value):
    values = np.full((3, 2), 0.0 if name == "shift" else 1.0)
    assert branches(kind="glu", **{name: values}).count == 2
    values[1, 1] = value
    message = branches_refused(kind="glu", **{name: values})
    assert message == (
        "Branches: shift or gain is set, expected 0 and 1 with kind 'glu'. Put factors into the "
        "weights and the bias of the value."
    )
    assert branches(kind="gsu", **{name: values}).count == 2


@pytest.mark.parametrize("n_neurons", [1, 4])
def test_branches_of_other_neurons(n_neurons):
    message = refusal(branches=branches(n_neurons))
    assert message == (
        f"StateSpaceCell: its branches are of {n_neurons} neurons, expected 3, as tau says. Give "
        "them one row a neuron."
    )


# --- leaky integrate-and-fire -----------------------------------------------------------------


def leaky(**changes):
    values = {"tau": np.full(3, 10.0), "theta": np.ones(3), "bias": np.zeros(3)}
    return LeakyCell(**(values | changes))


def leaky_refused(**changes):
    with pytest.raises(CellParameterError) as caught:
        leaky(**changes)
    return str(caught.value)


def test_a_leaky_cell():
    mine = np.full(3, 5)
    cell = leaky(tau=mine)
    mine[:] = -1
    assert cell.n_neurons == 3 and (cell.tau == 5.0).all() and cell.tau.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        cell.theta[0] = 2.0


@pytest.mark.parametrize(("name", "shape"), [
    ("tau", (3, 1)), ("tau", (0,)), ("tau", ()), ("theta", (2,)), ("theta", (3, 1)),
    ("bias", (4,)), ("bias", ()),
])
def test_a_parameter_of_a_leaky_cell_of_the_wrong_shape(name, shape):
    message = leaky_refused(**{name: np.ones(shape)})
    tau = shape if name == "tau" else (3,)
    assert message == (
        f"LeakyCell: {name} has shape {shape}, expected (H,) as tau, {tau}, of at least one neuron."
    )


@pytest.mark.parametrize("name", ["tau", "theta", "bias"])
@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_a_bad_value_of_a_leaky_cell(name, bad):
    values = np.ones(3)
    values[1] = bad
    message = leaky_refused(**{name: values})
    assert message.startswith(f"{name}[1] is {bad} ") and "To do:" in message


@pytest.mark.parametrize("tau", [0.0, -1.0])
def test_a_leaky_time_constant_is_positive(tau):
    assert f"tau[0] is {tau} ms, expected tau > 0" in leaky_refused(tau=[tau, 1.0, 1.0])


@pytest.mark.parametrize("name", ["tau", "theta"])
def test_a_leaky_neuron_leaks_and_can_spike(name):
    message = leaky_refused(**{name: [1.0, 1.0, np.inf]})
    assert message == (
        "LeakyCell: tau or theta is infinite, expected finite numbers. Look for overflow in the "
        "checkpoint that this value comes from."
    )
    assert "expected a finite number" in leaky_refused(bias=[0.0, np.inf, 0.0])


def test_errors_are_the_projects_own():
    assert issubclass(CellParameterError, SnnSsmError)


def test_every_parameter_has_a_unit_and_a_meaning():
    assert set(parameters()) <= set(PARAMETERS)
    assert {"value_bias", "gate_bias", "shift", "gain"} <= set(PARAMETERS)
    assert PARAMETERS["tau"].unit == "ms" and PARAMETERS["omega"].unit == "rad/ms"
    with pytest.raises(TypeError):
        PARAMETERS["tau"] = None


# --- propagator -------------------------------------------------------------------------------

taus = st.one_of(st.just(math.inf), st.floats(1e-3, 1e9))
omegas = st.floats(-1e3, 1e3)
timesteps = st.floats(1e-3, 100.0)


@given(taus, omegas, timesteps)
def test_propagator_is_the_c_librarys(tau, omega, dt):
    libm = ctypes.CDLL(ctypes.util.find_library("m"))
    for function in (libm.exp, libm.cos, libm.sin):
        function.restype, function.argtypes = ctypes.c_double, [ctypes.c_double]
    a_re, a_im = propagator([[tau]], [[omega]], dt)
    decay = libm.exp(-dt / tau)
    assert a_re[0, 0] == decay * libm.cos(omega * dt)
    assert a_im[0, 0] == decay * libm.sin(omega * dt)


@given(taus, omegas, timesteps)
def test_a_mode_never_grows(tau, omega, dt):
    a_re, a_im = propagator([tau], [omega], dt)
    assert math.hypot(a_re[0], a_im[0]) <= 1.0 + 4e-16


@given(st.floats(0.1, 1e4), st.floats(-3.0, 3.0), st.integers(1, 20))
def test_many_steps_are_one_long_step(tau, omega, steps):
    a_re, a_im = propagator([tau], [omega], 0.5)
    b_re, b_im = propagator([tau], [omega], 0.5 * steps)
    assert complex(a_re[0], a_im[0]) ** steps == pytest.approx(
        complex(b_re[0], b_im[0]), rel=1e-12, abs=1e-12
    )


def test_real_modes_and_no_leak_and_no_modes():
    a_re, a_im = propagator([[math.inf, 2.0]], None, 1.0)
    assert a_re.tolist() == [[1.0, math.exp(-0.5)]] and a_im.tolist() == [[0.0, 0.0]]
    empty = propagator(np.empty((3, 0)), np.empty((3, 0)), 1.0)
    assert empty[0].shape == empty[1].shape == (3, 0)


@pytest.mark.parametrize("dt", [0.0, -1.0, math.nan, math.inf])
def test_propagator_refuses_a_bad_timestep(dt):
    with pytest.raises(CellParameterError, match=r"dt is .* expected a positive, finite timestep"):
        propagator([[1.0]], None, dt)


def test_propagator_refuses_bad_modes():
    with pytest.raises(CellParameterError, match=r"tau\[0\]\[0\] is 0.0 ms"):
        propagator([[0.0]], None, 1.0)
    with pytest.raises(CellParameterError, match=r"omega has shape \(2,\), expected that of tau"):
        propagator([1.0], [1.0, 2.0], 1.0)
    with pytest.raises(CellParameterError, match=r"omega\[0\] \* dt .* overflows"):
        propagator([1.0], [1e308], 1e3)


def test_importing_the_package_imports_no_simulator():
    code = (
        "import sys, pynn_models, pynn_models.nest\n"
        "loaded = {'nest', 'pyNN', 'torch', 'snn_ssm', 'export'} & set(sys.modules)\n"
        "sys.exit(f'imported: {loaded}' if loaded else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
