"""The kernel and the three ways to apply a layer: they agree (E1), and equal the paper's code."""

import bisect
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch.autograd import gradcheck  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from snn_ssm.model import kernel  # noqa: E402
from snn_ssm.model.kernel import convolve, convolve_bidirectional, powers, scan, step  # noqa: E402
from snn_ssm.model.modes import discretise, init_log_dt, init_modes  # noqa: E402
from snn_ssm.model.spiking import fast_sigmoid  # noqa: E402

INITS = ["s4d-lin", "s4d-inv", "s4d-legs", "s4d-real"]
METHODS = ["zoh", "bilinear"]
LENGTHS = [1, 2, 3, 31, 32, 33, 64, 100, 127, 784]


def layer(init, method, is_complex, h, n, seed):
    """Random abar, g, d of a layer near the initialisation, float64."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    lam = init_modes(init, n).expand(h, n)  # (H, N)
    lam = torch.complex(lam.real * (0.5 * normal(h, n)).exp(), lam.imag + 0.2 * normal(h, n))
    b, c = (torch.complex(normal(h, n), normal(h, n)) for _ in range(2))
    if not is_complex:
        lam, b, c = lam.real, b.real, c.real
    dt = init_log_dt(h, 1e-3, 1e-1, generator).exp()
    abar, bbar = discretise(lam, b, dt, method)
    return abar, (2 if is_complex else 1) * c * bbar, normal(h)


def by_steps(u, abar, g, d):
    x = abar.new_zeros(len(u), *abar.shape)
    out = []
    for k in range(u.shape[-1]):
        x, y = step(x, u[..., k], abar, g, d)
        out.append(y)
    return torch.stack(out, dim=-1), x


def difference(one, other):
    return float((one - other).abs().max() / other.abs().max())


layers = st.tuples(
    st.sampled_from(INITS),
    st.sampled_from(METHODS),
    st.booleans(),
    st.integers(1, 5),
    st.integers(1, 9),
    st.integers(0, 10**6),
)


@settings(max_examples=60)
@given(layers, st.integers(1, 3), st.one_of(st.sampled_from(LENGTHS), st.integers(1, 150)))
def test_convolution_scan_and_step_are_one_function(parameters, batch, length):
    abar, g, d = layer(*parameters)
    u = torch.randn(batch, len(abar), length, dtype=torch.float64)
    convolved = convolve(u, kernel.kernel(abar, g, length), d)
    scanned, last = scan(u, abar, g, d)
    stepped, state = by_steps(u, abar, g, d)
    assert convolved.shape == scanned.shape == stepped.shape == u.shape
    assert difference(convolved, stepped) <= 1e-10
    assert difference(scanned, stepped) <= 1e-10
    assert difference(last, state) <= 1e-10


def float32_bound(u, abar, g, d):
    """How far two float32 evaluations of the same float32 parameters may lie apart, (B, H, L).

    A power abar^l is a product of at most l roundings, 4 of half a unit each for complex numbers,
    and enters the sum once: |dy[k]| <= eps (4 j + N + 8) |g| |abar|^j |u[k-j]|, summed over modes
    and j. The transforms add eps log2(size) of the product of the norms of u and K.
    """
    eps, length = 2.0**-23, u.shape[-1]
    u, abar, g, d = (np.abs(v.double().numpy() if not v.is_complex() else v.numpy())
                     for v in (u, abar, g, d))
    j = np.arange(length)
    kernel_bound = (g[..., None] * abar[..., None] ** j).sum(1)  # (H, L)
    weight = kernel_bound * (4 * j + abar.shape[1] + 8)
    weight[:, 0] += d
    direct = np.zeros_like(u)
    for b, h in np.ndindex(*u.shape[:2]):
        direct[b, h] = np.convolve(u[b, h], weight[h])[:length]
    kernel_bound[:, 0] += d
    norms = np.sqrt((u**2).sum(-1)) * np.sqrt((kernel_bound**2).sum(-1))  # (B, H)
    return eps * (direct + 2 * math.log2(2 * length + 1) * norms[..., None])


@settings(max_examples=30)
@given(layers, st.sampled_from(LENGTHS))
def test_float32_convolution_scan_and_step_differ_by_rounding_only(parameters, length):
    abar, g, d = (v.to(torch.complex64 if v.is_complex() else torch.float32)
                  for v in layer(*parameters))
    u = torch.randn(2, len(abar), length)
    bound = float32_bound(u, abar, g, d)
    stepped = by_steps(u, abar, g, d)[0]
    for other in (convolve(u, kernel.kernel(abar, g, length), d), scan(u, abar, g, d)[0]):
        assert other.dtype == torch.float32
        assert ((other - stepped).abs().numpy() <= bound).all()


@pytest.mark.parametrize("init", ["inv", "lin"])
@pytest.mark.parametrize("method", METHODS)
def test_kernel_and_recurrence_are_the_papers(vectors, method, init):
    a, b, c, log_dt, expected, u, y = (
        torch.from_numpy(vectors[f"{method}_{init}_{key}"])
        for key in ("A", "B", "C", "log_dt", "kernel", "u", "y_scan")
    )
    abar, bbar = discretise(a, b, log_dt.exp(), method)
    g, d = 2 * c * bbar, torch.zeros(len(a), dtype=torch.float64)
    k = kernel.kernel(abar, g, expected.shape[-1])
    assert k.dtype == torch.float64
    assert difference(k, expected) <= 1e-12
    assert difference(convolve(u, k, d), y) <= 1e-12
    assert difference(scan(u, abar, g, d)[0], y) <= 1e-12
    assert difference(by_steps(u, abar, g, d)[0], y) <= 1e-12


@pytest.mark.parametrize("direction", ["causal", "bi"])
def test_a_binary_s4d_layer_is_the_papers(vectors, direction):
    """The state-space part, the spikes, and the paper's own mixing, a GLU, written out here."""
    v = {
        key: torch.from_numpy(vectors[f"binary_{direction}_{key}"])
        for key in ("A", "B", "C", "log_dt", "D", "W", "bias", "u", "out")
    }
    abar, bbar = discretise(
        v["A"].to(torch.complex128), v["B"], v["log_dt"].double().exp(), "bilinear"
    )
    u, d = v["u"].double(), v["D"].double()
    ks = [kernel.kernel(abar, 2 * c * bbar, u.shape[-1]) for c in v["C"]]  # (H, L)
    y = convolve(u, *ks, d) if direction == "causal" else convolve_bidirectional(u, *ks, d)
    assert float(y.abs().min()) > 1e-5  # no membrane so near 0 that float32 decides the spike
    mixed = torch.matmul(v["W"].double(), fast_sigmoid(y)) + v["bias"].double()[:, None]
    value, gate = mixed.chunk(2, dim=1)
    out = value * torch.sigmoid(gate)
    assert 0.1 < float(fast_sigmoid(y).mean()) < 0.9
    assert float((out - v["out"]).abs().max()) <= 8 * 2.0**-23 * float(out.abs().max())


@given(layers, st.integers(1, 200))
def test_factored_vandermonde_equals_the_plain_one(parameters, length):
    abar, g, _ = layer(*parameters)
    plain = abar[..., None] ** torch.arange(length)  # (H, N, L)
    expected = (g[..., None] * plain).sum(1).real  # (H, L)
    found = kernel.kernel(abar, g, length)
    assert found.shape == (len(abar), length)
    assert difference(found, expected) <= 1e-12


@given(layers, st.integers(1, 70))
def test_powers_are_powers(parameters, count):
    abar = layer(*parameters)[0]
    assert torch.allclose(
        powers(abar, count), abar[..., None] ** torch.arange(count), rtol=1e-12, atol=1e-300
    )


SMALL_FACTORS = sorted(2**a * 3**b * 5**c for a in range(15) for b in range(10) for c in range(7))


@given(st.integers(1, 5000))
def test_the_transform_is_the_shortest_of_small_factors_that_is_long_enough(length):
    at = bisect.bisect_left(SMALL_FACTORS, 2 * length - 1)
    assert kernel._fft_size(length) == SMALL_FACTORS[at]


@pytest.mark.parametrize("length", [*range(1, 20), 33, 61])
def test_convolutions_equal_their_sums(length):
    rng = np.random.default_rng(length)
    u, k, back, d = (rng.normal(size=s) for s in [(2, 3, length), (3, length), (3, length), (3,)])
    causal, both = np.zeros_like(u), np.zeros_like(u)
    for t in range(length):
        past = sum(k[:, j] * u[..., t - j] for j in range(t + 1))
        future = sum(back[:, j] * u[..., t + 1 + j] for j in range(length - t - 1))
        causal[..., t] = past + d * u[..., t]
        both[..., t] = causal[..., t] + future
    u, k, back, d = (torch.from_numpy(v) for v in (u, k, back, d))
    assert convolve(u, k, d).numpy() == pytest.approx(causal, abs=1e-12)
    assert convolve_bidirectional(u, k, back, d).numpy() == pytest.approx(both, abs=1e-12)


@pytest.mark.parametrize("cut", [1, 17, 32, 40])
def test_a_scan_may_be_cut_anywhere(cut):
    abar, g, d = layer("s4d-lin", "zoh", True, 3, 4, 5)
    u = torch.randn(2, 3, 70, dtype=torch.float64)
    whole, last = scan(u, abar, g, d)
    first, middle = scan(u[..., :cut], abar, g, d)
    second, end = scan(u[..., cut:], abar, g, d, middle)
    assert difference(torch.cat([first, second], -1), whole) <= 1e-13
    assert difference(end, last) <= 1e-13


def test_a_step_leaves_the_given_state_alone():
    for is_complex in (True, False):
        abar, g, d = layer("s4d-lin", "zoh", is_complex, 3, 4, 5)
        x = torch.ones(2, 3, 4, dtype=abar.dtype)
        step(x, torch.ones(2, 3, dtype=torch.float64), abar, g, d)
        assert bool((x == 1).all())


@pytest.mark.parametrize("is_complex", [True, False], ids=["complex", "real"])
@pytest.mark.parametrize("length", [1, 2, 13])
def test_the_kernels_gradient(length, is_complex):
    abar, g, _ = layer("s4d-inv", "zoh", is_complex, 2, 3, 7)
    abar, g = abar.requires_grad_(), g.requires_grad_()
    assert gradcheck(lambda a, b: kernel.kernel(a, b, length), (abar, g))


@pytest.mark.parametrize("length", [1, 2, 9])
def test_the_convolutions_gradient(length):
    u = torch.randn(2, 3, length, dtype=torch.float64, requires_grad=True)
    k, back = (torch.randn(3, length, dtype=torch.float64, requires_grad=True) for _ in range(2))
    d = torch.randn(3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(convolve, (u, k, d))
    assert gradcheck(convolve, (u.detach(), k, d))  # the first layer's input has no gradient
    assert gradcheck(convolve_bidirectional, (u, k, back, d))
    assert gradcheck(convolve_bidirectional, (u.detach(), k, back, d))


def test_an_input_without_gradient_gets_none():
    u, d = torch.randn(1, 2, 5), torch.zeros(2)
    k = torch.randn(2, 5, requires_grad=True)
    convolve(u, k, d).sum().backward()
    assert u.grad is None and d.grad is None
    # Each K[j] is weighted with the inputs of the steps that see it.
    expected = torch.stack([u[0, :, : 5 - j].sum(-1) for j in range(5)], -1)
    assert torch.allclose(k.grad, expected, atol=1e-5)


class LargestTensor(TorchDispatchMode):
    """Notes the number of elements of the largest tensor that any operation makes."""

    def __init__(self):
        super().__init__()
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for value in out if isinstance(out, tuple | list) else [out]:
            # A view or an expanded tensor takes no memory of its own.
            if isinstance(value, torch.Tensor):
                held = value.untyped_storage().nbytes() // value.element_size()
                self.largest = max(self.largest, held)
        return out


@pytest.mark.parametrize("is_complex", [True, False], ids=["complex", "real"])
def test_no_tensor_of_modes_times_steps_is_ever_made(is_complex):
    h, n, length = 3, 32, 4096
    abar, g, d = layer("s4d-lin", "zoh", is_complex, h, n, 1)
    abar, g = abar.requires_grad_(), g.requires_grad_()
    u = torch.randn(1, h, length, dtype=torch.float64)
    with LargestTensor() as forward:
        k = kernel.kernel(abar, g, length)
        y = convolve(u, k, d)
    with LargestTensor() as backward:
        y.square().sum().backward()
    assert abar.grad is not None and g.grad is not None
    # Tables of sqrt(L) = 64 powers, real and imaginary part side by side; transforms of 2 L.
    limit = max(4 * h * n * 64, 4 * h * length)
    assert h * length <= forward.largest <= limit < h * n * length
    assert backward.largest <= limit


def test_a_scan_needs_no_tensor_of_modes_times_steps():
    h, n, length = 3, 16, 2048
    abar, g, d = layer("s4d-lin", "zoh", True, h, n, 1)
    u = torch.randn(1, h, length, dtype=torch.float64)
    with LargestTensor() as seen:
        scan(u, abar, g, d)
    block = 2 * h * n * (kernel._SCAN_BLOCK + 1)
    assert seen.largest <= max(block, h * length) < h * n * length  # a block, and the output
