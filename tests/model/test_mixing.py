"""Feature mixing: each formula by an independent computation, and the paper's own layers."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from scipy.special import erf, expit  # noqa: E402

from snn_ssm.config import ModelConfig  # noqa: E402
from snn_ssm.model.block import Block  # noqa: E402
from snn_ssm.model.mixing import GluMixing, GsuMixing, LinearMixing, make_mixing  # noqa: E402

CHANNELS = 5
PAPER = {
    "channels": 6, "modes": 4, "mode_init": "s4d-inv", "discretisation": "bilinear",
    "norm": "none", "surrogate": "fast-sigmoid",
}
PUBLISHED = {
    "binary": {**PAPER, "activation": "heaviside", "mixing": "glu"},
    "gsu": {**PAPER, "activation": "ternary", "mixing": "gsu", "gsu_norm": "layer"},
}


def paper_block(vectors, layer, direction):
    """A block with the parameters of one of the authors' layers, in evaluation mode."""
    v = {k.removeprefix(f"{layer}_{direction}_"): a for k, a in vectors.items()}
    config = ModelConfig(**PUBLISHED[layer], bidirectional=direction == "bi")
    block = Block(config, torch.Generator().manual_seed(0))
    arrays = {
        "ssm.a": np.log(-v["A"].real),
        "ssm.omega": v["A"].imag,
        "ssm.b": v["B"].view(np.float32).reshape(6, 4, 2),
        "ssm.c": v["C"].view(np.float32).reshape(-1, 6, 4, 2),
        "ssm.log_dt": v["log_dt"],
        "ssm.d": v["D"],
        # Theirs multiplies a row of spikes from the left in the GSU: (from, to).
        "mixing.weight": v["W"].T if layer == "gsu" else v["W"],
        "mixing.bias": v["bias"],
    }
    if layer == "gsu":
        arrays |= {"mixing.norm.weight": v["norm_weight"], "mixing.norm.bias": v["norm_bias"]}
    block.load_state_dict({k: torch.from_numpy(a.copy()) for k, a in arrays.items()})
    return block.eval(), torch.from_numpy(v["u"]), v["out"]


@pytest.mark.parametrize("direction", ["causal", "bi"])
@pytest.mark.parametrize("layer", ["binary", "gsu"])
@torch.no_grad()
def test_the_papers_layers_to_float32_precision(vectors, layer, direction):
    block, u, expected = paper_block(vectors, layer, direction)
    y = block.ssm(u)
    s = block.activate(y)
    o = block.mixing(y, s)
    assert o.dtype == torch.float32 and o.shape == expected.shape
    assert np.abs(o.numpy() - expected).max() <= 16 * 2.0**-23 * np.abs(expected).max()
    assert 0.05 < float(s.ne(0).float().mean()) < 0.95  # both answers were asked for
    # The block adds its input: a residual around all of it.
    assert torch.equal(block.after(u, y, s), u + o)


@pytest.mark.parametrize("layer", ["binary", "gsu"])
@torch.no_grad()
def test_the_papers_causal_layers_step_by_step(vectors, layer):
    block, u, expected = paper_block(vectors, layer, "causal")
    recurrence = block.ssm.recurrence()
    x, outputs = recurrence.initial(u), []
    for k in range(u.shape[-1]):
        x, y = recurrence.step(x, u[..., k])
        y = y[..., None]
        outputs.append(block.mixing(y, block.activate(y)))
    found = torch.cat(outputs, -1).numpy()
    assert np.abs(found - expected).max() <= 16 * 2.0**-23 * np.abs(expected).max()


def mixing_of(seed=0, **changes):
    """A mixing with random norms too, and a membrane and output (B, H, L), in float64."""
    config = ModelConfig(channels=CHANNELS, **changes)
    torch.manual_seed(seed)
    mixing = make_mixing(config).double().eval()
    for name, value in mixing.state_dict().items():
        if name.startswith("norm.") and value.is_floating_point():
            value.uniform_(0.5, 1.5)
    y = torch.randn(3, CHANNELS, 7, dtype=torch.float64)
    s = torch.sign(y) * (y.abs() > 0.5)
    return mixing, y, s


def array(x):
    return x.detach().numpy()


def times(weight, x):
    return np.einsum("ij,bjl->bil", weight, array(x))


def test_linear_mixing_is_its_formula():
    mixing, y, s = mixing_of()
    assert isinstance(mixing, LinearMixing) and mixing.weight.shape == (CHANNELS, CHANNELS)
    expected = times(array(mixing.weight), s) + array(mixing.bias)[:, None]
    assert array(mixing(y, s)) == pytest.approx(expected, rel=1e-12)


def test_linear_mixing_of_stock_cells_has_no_bias():
    mixing, y, s = mixing_of(cells="stock", mode_init="s4d-real", modes=1)
    assert [name for name, _ in mixing.named_parameters()] == ["weight"]
    assert array(mixing(y, s)) == pytest.approx(times(array(mixing.weight), s), rel=1e-12)


def test_glu_mixing_is_its_formula_values_first():
    mixing, y, s = mixing_of(mixing="glu")
    assert isinstance(mixing, GluMixing) and mixing.weight.shape == (2 * CHANNELS, CHANNELS)
    both = times(array(mixing.weight), s) + array(mixing.bias)[:, None]
    expected = both[:, :CHANNELS] * expit(both[:, CHANNELS:])
    assert array(mixing(y, s)) == pytest.approx(expected, rel=1e-12)


def signs(weight):
    """T(G) by its definition, in float64."""
    t = 0.15 * np.abs(weight).max()
    return (weight > t).astype(float) - (weight < -t)


def normalise(mixing, x):
    """The GSU's norm by its definition, of (B, H, L)."""
    state = {k: array(v)[:, None] for k, v in mixing.norm.state_dict().items() if v.ndim}
    if not state:
        return x
    mean, var = state.get("running_mean"), state.get("running_var")
    if mean is None:
        mean, var = x.mean(1, keepdims=True), x.var(1, keepdims=True)
    return (x - mean) / np.sqrt(var + 1e-5) * state["weight"] + state["bias"]


@pytest.mark.parametrize("norm", ["layer", "batch", "none"])
@pytest.mark.parametrize("weights", [1, 2])
def test_gsu_mixing_is_its_formula(weights, norm):
    mixing, y, s = mixing_of(
        mixing="gsu", activation="ternary", gsu_weights=weights, gsu_norm=norm
    )
    assert isinstance(mixing, GsuMixing)
    weight = array(mixing.weight)
    gate = weight if weights == 1 else array(mixing.gate_weight)
    assert (mixing.gate_weight is None) == (weights == 1)
    value = times(weight, s) + array(mixing.bias)[:, None]
    x = normalise(mixing, value * times(signs(gate), y))
    expected = x * 0.5 * (1 + erf(x / math.sqrt(2)))
    assert array(mixing(y, s)) == pytest.approx(expected, rel=1e-10, abs=1e-13)


def test_the_gates_matrix_is_strict_at_its_threshold_in_float64():
    mixing, _, _ = mixing_of(mixing="gsu", activation="ternary")
    mixing.float()
    # An entry that is above the threshold, and equal to it were the threshold rounded to float32.
    def rounded(largest):
        return np.float32(0.15 * np.float64(largest))

    largest = next(
        v for v in np.linspace(0.5, 1, 99, dtype=np.float32) if rounded(v) > 0.15 * np.float64(v)
    )
    at = rounded(largest)
    below = np.nextafter(at, np.float32(0))
    with torch.no_grad():
        mixing.weight.zero_()[0] = torch.tensor([largest, at, -at, below, -below])
    assert array(mixing.gate_matrix())[0].tolist() == [1, 1, -1, 0, 0]
    assert mixing.gate_matrix().dtype == torch.float32


def test_the_gates_matrix_has_the_surrogate_gradient_at_both_thresholds():
    mixing, _, _ = mixing_of(mixing="gsu", activation="ternary", surrogate="triangle",
                             surrogate_slope=3.0)
    upstream = torch.randn(CHANNELS, CHANNELS, dtype=torch.float64)
    (mixing.gate_matrix() * upstream).sum().backward()
    weight = array(mixing.weight)
    t = 0.15 * np.abs(weight).max()  # constant in the gradient
    bumps = sum(np.maximum(0, 1 - 3 * np.abs(sign * weight - t)) for sign in (1, -1))
    assert array(mixing.weight.grad) == pytest.approx(array(upstream) * bumps, rel=1e-12)


@pytest.mark.parametrize("mixing", ["linear", "glu", "gsu"])
def test_weight_bits_round_the_matrix_of_the_spikes_in_use_only(mixing):
    keys = {"mixing": mixing, "activation": "ternary", "gsu_norm": "none"}
    rounded, y, s = mixing_of(**keys, weight_bits=4)
    plain, _, _ = mixing_of(**keys)
    weight = array(plain.weight)
    assert (array(rounded.weight) == weight).all()
    q = np.abs(weight).max() / 7
    with torch.no_grad():
        plain.weight.copy_(torch.from_numpy(q * np.rint(weight / q)))
    if mixing == "gsu":  # its T(G) is of the matrix before rounding
        plain.gate_matrix = rounded.gate_matrix
    assert array(rounded(y, s)) == pytest.approx(array(plain(y, s)), rel=1e-12, abs=1e-14)
    rounded(y, s).sum().backward()
    assert bool(rounded.weight.grad.abs().sum() > 0)


@pytest.mark.parametrize("mixing", ["linear", "glu", "gsu"])
def test_weights_start_uniform_below_one_over_the_root_of_the_channels(mixing):
    torch.manual_seed(1)
    config = ModelConfig(channels=100, mixing=mixing, activation="ternary", gsu_weights=2)
    found = dict(make_mixing(config).named_parameters())
    for name in set(found) - {"norm.weight", "norm.bias"}:
        drawn = array(found[name])
        assert np.abs(drawn).max() <= 0.1
        # Of U(-r, r) the variance is r^2 / 3.
        assert np.square(drawn).mean() == pytest.approx(0.01 / 3, rel=0.35)
