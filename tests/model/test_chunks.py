"""Convolution by chunks is the convolution by transforms, the scan and the steps (E1)."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from support.operators import HAS_COMPILER, TARGETS, go_by  # noqa: E402
from torch.autograd import gradcheck  # noqa: E402

from snn_ssm.config import ModelConfig  # noqa: E402
from snn_ssm.model import chunks, kernel  # noqa: E402
from snn_ssm.model.layers import StateSpaceLayer  # noqa: E402
from snn_ssm.model.modes import discretise, init_log_dt, init_modes  # noqa: E402
from snn_ssm.model.network import Network  # noqa: E402
from snn_ssm.model.operators import library  # noqa: E402


@pytest.fixture(autouse=True, params=["plain", *TARGETS[-1:]] if HAS_COMPILER else ["plain"])
def way(request, monkeypatch):
    """In plain torch, and by the operators compiled for this machine."""
    go_by(monkeypatch, request.param)
    yield request.param
    library.loaded.cache_clear()


LENGTHS = [1, 2, 63, 64, 65, 127, 128, 129, 784]
COMPLEX = pytest.mark.parametrize("is_complex", [True, False], ids=["complex", "real"])


def layer(init, method, is_complex, h, n, seed, dt_min=1e-3):
    """abar, g (H, N) and d (H,) near an initialisation, float64."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    lam = init_modes(init, n).expand(h, n)  # (H, N)
    lam = torch.complex(lam.real * (0.5 * normal(h, n)).exp(), lam.imag + 0.2 * normal(h, n))
    b, c = (torch.complex(normal(h, n), normal(h, n)) for _ in range(2))
    if not is_complex:
        lam, b, c = lam.real, b.real, c.real
    dt = init_log_dt(h, dt_min, 1e-1, generator).exp()
    abar, bbar = discretise(lam, b, dt, method)
    return abar, (2 if is_complex else 1) * c * bbar, normal(h)


def by_transforms(u, abar, g, d):
    return kernel.convolve(u, kernel.kernel(abar, g, u.shape[-1]).to(u.dtype), d.to(u.dtype))


def by_steps(u, abar, g, d):
    x, out = abar.new_zeros(len(u), *abar.shape), []
    for t in range(u.shape[-1]):
        x, y = kernel.step(x, u[..., t], abar, g, d)
        out.append(y)
    return torch.stack(out, dim=-1)


def difference(one, other):
    """The largest, relative to the largest value."""
    return float((one - other).detach().abs().max() / other.abs().max())


def gradients(function, u, parameters, weight):
    inputs = [x.detach().clone().requires_grad_() for x in (u, *parameters)]
    return torch.autograd.grad((function(*inputs) * weight).sum(), inputs)


layer_parameters = st.tuples(
    st.sampled_from(["s4d-lin", "s4d-inv", "s4d-legs", "s4d-real"]),
    st.sampled_from(["zoh", "bilinear"]), st.booleans(), st.integers(1, 5), st.integers(1, 20),
    st.integers(0, 10**6),
)  # fmt: skip


@settings(max_examples=60)
@given(
    layer_parameters,
    st.integers(1, 3),
    st.one_of(st.sampled_from(LENGTHS), st.integers(1, 300)),
)
def test_chunks_transforms_scan_and_steps_are_one_function(drawn, batch, length):
    parameters = layer(*drawn)
    u = torch.randn(batch, drawn[3], length, dtype=torch.float64)
    found = chunks.convolve(u, *parameters)
    assert found.shape == u.shape and found.dtype == u.dtype
    assert difference(found, by_transforms(u, *parameters)) <= 1e-12
    assert difference(found, kernel.scan(u, *parameters)[0]) <= 1e-12
    assert difference(found, by_steps(u, *parameters)) <= 1e-12


@COMPLEX
@pytest.mark.parametrize("length", [2, 64, 200, 784])
def test_the_gradients_are_those_by_transforms(is_complex, length):
    parameters = layer("s4d-lin", "zoh", is_complex, 3, 5, 1)
    u, weight = (torch.randn(2, 3, length, dtype=torch.float64) for _ in range(2))
    found = gradients(chunks.convolve, u, parameters, weight)
    expected = gradients(by_transforms, u, parameters, weight)
    for name, one, other in zip(("u", "abar", "g", "d"), found, expected, strict=True):
        assert difference(one, other) <= 1e-12, name


@COMPLEX
@pytest.mark.parametrize("length", [1, 4, 11])
def test_the_gradients_are_right(monkeypatch, is_complex, length):
    monkeypatch.setattr(chunks, "STEPS", 4)
    abar, g, d = (x.requires_grad_() for x in layer("s4d-inv", "zoh", is_complex, 2, 3, 7))
    u = torch.randn(2, 2, length, dtype=torch.float64, requires_grad=True)
    assert gradcheck(chunks.convolve, (u, abar, g, d))
    assert gradcheck(chunks.convolve, (u.detach(), abar, g, d))  # the first layer's input has none


@COMPLEX
def test_slow_modes_in_float32_lose_no_more_than_by_transforms(is_complex):
    """Steps of 1e-5: the states hardly decay over the whole sequence, and all roundings stay."""
    parameters = layer("s4d-lin", "zoh", is_complex, 8, 16, 3, dt_min=1e-5)
    u, weight = (torch.randn(2, 8, 4096, dtype=torch.float64) for _ in range(2))
    exact = by_transforms(u, *parameters)
    chunked = difference(chunks.convolve(u.float(), *parameters).double(), exact)
    transformed = difference(by_transforms(u.float(), *parameters).double(), exact)
    assert chunked <= max(4 * transformed, 1e-6)
    expected = gradients(by_transforms, u, parameters, weight)
    found = gradients(chunks.convolve, u.float(), parameters, weight.float())
    for one, other in zip(found, expected, strict=True):
        assert difference(one.to(other.dtype), other) <= 4e-6


@COMPLEX
def test_autocast_leaves_the_products_alone(is_complex):
    """``precision = "bf16"`` is for the mixing: a state in bfloat16 would forget."""
    parameters = layer("s4d-lin", "zoh", is_complex, 3, 4, 5)
    u = torch.randn(2, 3, 200)

    def both_ways():
        return [chunks.convolve(u, *parameters), *gradients(chunks.convolve, u, parameters, u)]

    expected = both_ways()
    with torch.autocast("cpu", torch.bfloat16):
        found = both_ways()
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype and torch.equal(one, other)


def test_an_input_without_gradient_gets_none():
    abar, g, d = (x.requires_grad_() for x in layer("s4d-lin", "zoh", True, 3, 4, 5))
    u = torch.randn(2, 3, 100)
    chunks.convolve(u, abar, g, d).sum().backward()
    assert u.grad is None
    assert all(x.grad is not None and x.grad.abs().max() > 0 for x in (abar, g, d))


@pytest.fixture
def calls(monkeypatch):
    """The names of the convolutions that are called."""
    names = []

    def noted(module, name):
        function = getattr(module, name)

        def call(*args):
            names.append(f"{module.__name__.rsplit('.', 1)[1]}.{name}")
            return function(*args)

        monkeypatch.setattr(module, name, call)

    noted(chunks, "convolve")
    noted(kernel, "convolve")
    return names


CHUNKS, TRANSFORMS = ["chunks.convolve"], ["kernel.convolve"]
REAL = {"mode_init": "s4d-real"}


@pytest.mark.parametrize(
    ("length", "changes", "plain", "compiled"),
    [
        (784, {}, CHUNKS, CHUNKS),
        (512, {"modes": 16}, CHUNKS, CHUNKS),
        (511, {"modes": 16}, TRANSFORMS, CHUNKS),
        (128, {}, TRANSFORMS, CHUNKS),
        (127, {}, TRANSFORMS, TRANSFORMS),
        (784, {"modes": 17}, TRANSFORMS, CHUNKS),
        (784, {"modes": 33}, TRANSFORMS, TRANSFORMS),
        (784, {**REAL, "modes": 32}, CHUNKS, CHUNKS),
        (784, {**REAL, "modes": 33}, TRANSFORMS, CHUNKS),
        (784, {**REAL, "modes": 65}, TRANSFORMS, TRANSFORMS),
        (784, {"bidirectional": True}, TRANSFORMS * 2, TRANSFORMS * 2),
    ],
    ids=str,
)  # fmt: skip
def test_long_causal_layers_of_few_modes_go_by_chunks(way, calls, length, changes, plain, compiled):
    model = ModelConfig(**({"channels": 3, "modes": 4} | changes))
    ssm = StateSpaceLayer(model, torch.Generator().manual_seed(0))
    y = ssm(torch.randn(2, 3, length))
    assert calls == (plain if way == "plain" else compiled)
    assert y.shape == (2, 3, length) and y.dtype == torch.float32
    calls.clear()
    y = ssm(torch.randn(2, 3, length, dtype=torch.float64))
    assert set(calls) == set(TRANSFORMS if way == "plain" else compiled)
    assert y.shape == (2, 3, length) and y.dtype == torch.float64


@pytest.mark.parametrize("mixing", ["linear", "glu", "gsu"])
def test_a_network_in_float64_is_its_steps(mixing, calls, monkeypatch):
    """Spike for spike, where float64 goes by chunks too."""
    monkeypatch.setattr(chunks, "worth_it", lambda u, abar: True)
    changes = {"activation": "ternary-constant", "gsu_norm": "batch"} if mixing == "gsu" else {}
    network = Network(ModelConfig(channels=6, modes=4, depth=2, mixing=mixing, **changes)).double()
    p = torch.randint(0, 256, (2, 1, 300), generator=torch.Generator().manual_seed(1))
    network.eval()
    whole, stepped = network(p), network.steps(p)
    assert calls == ["chunks.convolve"] * 2
    for s, t in zip(whole.outputs, stepped.outputs, strict=True):
        assert torch.equal(s, t)
    for y, z in zip(whole.membranes, stepped.membranes, strict=True):
        assert difference(y, z) <= 1e-10


def test_no_tensor_of_modes_times_steps_is_saved():
    """For the backward pass: the input's copy, states once a chunk, and tables of T steps."""
    abar, g, d = layer("s4d-lin", "zoh", True, 3, 16, 1)
    u, sizes = torch.randn(2, 3, 4096), []

    def noted(x):
        sizes.append(x.numel() * (2 if x.is_complex() else 1))
        return x

    with torch.autograd.graph.saved_tensors_hooks(noted, lambda x: x):
        chunks.convolve(u.requires_grad_(), abar.requires_grad_(), g.requires_grad_(), d)
    assert max(sizes) == u.numel()
    tables = 3 * 64 * 65 * 40  # some tables of T powers of 2N numbers
    assert sum(sizes) <= u.numel() * (1 + 2 * 16 / 64) + tables
