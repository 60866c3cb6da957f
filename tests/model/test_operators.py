"""Compiled operators are the functions of plain torch, values and gradients, of any shape."""

import contextlib
import logging
import math
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from support.operators import HAS_COMPILER, TARGETS, go_by  # noqa: E402

from snn_ssm.config import ModelConfig  # noqa: E402
from snn_ssm.model import chunks, operators, spiking  # noqa: E402
from snn_ssm.model.layers import DiscreteModes  # noqa: E402
from snn_ssm.model.layout import by_sample  # noqa: E402
from snn_ssm.model.mixing import GsuMixing, multiply  # noqa: E402
from snn_ssm.model.network import Network  # noqa: E402
from snn_ssm.model.norms import ChannelBatchNorm, in_one_pass  # noqa: E402
from snn_ssm.model.operators import elementwise, library  # noqa: E402
from snn_ssm.model.operators.elementwise import SURROGATES  # noqa: E402
from snn_ssm.model.operators.library import call, target, usable  # noqa: E402
from snn_ssm.training.distributed import SharedBatchNorm  # noqa: E402

compiled = pytest.mark.skipif(not HAS_COMPILER, reason="g++ is not installed")
GSU = {"mixing": "gsu", "activation": "ternary-constant", "gsu_norm": "batch"}
PRECISIONS = {torch.float64: 1e-12, torch.float32: 2e-5}


@pytest.fixture(params=TARGETS)
def way(request, monkeypatch):
    """Operators for each target that this machine runs; yields a switch to plain torch and back."""
    if not HAS_COMPILER:
        pytest.skip("g++ is not installed")
    go_by(monkeypatch, request.param)
    yield lambda name: go_by(monkeypatch, name if name == "plain" else request.param)
    library.loaded.cache_clear()


def results(function, inputs, seed=9):
    """What a function gives, and the gradients of a random sum of it."""
    inputs = [x.detach().clone().requires_grad_() for x in inputs]
    out = function(*inputs)
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(out.shape, generator=generator, dtype=torch.float64).to(out.dtype)
    return [out.detach(), *torch.autograd.grad((out * weight).sum(), inputs)]


def assert_same(way, function, inputs, tolerance):
    way("compiled")
    assert usable(inputs[0]), "or nothing would be compared"
    found = results(function, inputs)
    way("plain")
    assert not usable(inputs[0])
    for number, (one, other) in enumerate(zip(found, results(function, inputs), strict=True)):
        assert one.dtype == other.dtype and one.shape == other.shape
        error = (one - other).abs().max() / other.abs().max().clamp(min=1e-30)
        assert float(error) <= tolerance, number


def normal(*shape, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    kind = torch.complex128 if dtype.is_complex else torch.float64
    return torch.randn(*shape, generator=generator, dtype=kind).to(dtype)


def activation(batch, channels, length, dtype, seed=0):
    """(B, H, L), by channels in memory as within a network."""
    return by_sample(normal(channels, batch, length, dtype=dtype, seed=seed))


sizes = st.tuples(st.integers(1, 9), st.integers(1, 19), st.integers(1, 200))  # B, H, L
fixed = settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("dtype", PRECISIONS)
@fixed
@given(sizes, st.integers(1, 20), st.booleans())
def test_the_convolution(way, dtype, size, modes, is_complex):
    kind = torch.complex128 if is_complex else torch.float64
    poles = normal(size[1], modes, dtype=kind, seed=1)
    abar = 0.95 * poles / (1 + poles.abs())
    g, d = normal(size[1], modes, dtype=kind, seed=2), normal(size[1], seed=3)
    inputs = (activation(*size, dtype), abar, g, d)
    assert_same(way, chunks.convolve, inputs, PRECISIONS[dtype])


@pytest.mark.parametrize("dtype", PRECISIONS)
@fixed
@given(sizes)
def test_the_batch_norm(way, dtype, size):
    batch, channels, length = size
    if batch * length < 3:
        return
    norm = ChannelBatchNorm(channels).to(dtype)

    def normed(x, weight, bias):
        norm._parameters["weight"], norm._parameters["bias"] = weight, bias
        norm.reset_running_stats()
        y = norm(x)
        return torch.cat([y.flatten(), norm.running_mean, norm.running_var])

    x = 3 + 2 * activation(*size, dtype)
    parameters = normal(channels, dtype=dtype, seed=4), normal(channels, dtype=dtype, seed=5)
    assert_same(way, normed, (x, *parameters), 30 * PRECISIONS[dtype])


@pytest.mark.parametrize("dtype", PRECISIONS)
@fixed
@given(sizes, st.integers(1, 40), st.booleans())
def test_the_product_of_all_samples(way, dtype, size, to, biased):
    weight = normal(to, size[1], dtype=dtype, seed=1)
    stream = activation(size[0], to, size[2], dtype, seed=3)
    inputs = [activation(*size, dtype), weight, normal(to, dtype=dtype, seed=2), stream]

    def product(x, w, b, h):
        alone = multiply(w, x, b if biased else None) + 0 * b.sum()
        return torch.cat([alone, multiply(w, x, b if biased else None, h)])

    assert_same(way, product, inputs, PRECISIONS[dtype])


def normed_by(norm, dtype):
    """The function of a fresh norm's weight and bias, and what it has followed."""

    def run(function, weight, bias):
        norm._parameters["weight"], norm._parameters["bias"] = weight, bias
        norm.reset_running_stats()
        out = [x.flatten() for x in function()]
        return torch.cat([*out, norm.running_mean, norm.running_var])

    norm.to(dtype)
    return run


@pytest.mark.parametrize("dtype", PRECISIONS)
@fixed
@given(sizes, st.integers(1, 20), st.booleans())
def test_the_convolution_of_a_normed_stream(way, dtype, size, modes, is_complex):
    """In one pass, and the gradient of the stream that goes on added in the pass back."""
    batch, channels, length = size
    if batch * length < 3:
        return
    kind = torch.complex128 if is_complex else torch.float64
    poles = normal(channels, modes, dtype=kind, seed=1)
    abar = 0.95 * poles / (1 + poles.abs())
    g, d = normal(channels, modes, dtype=kind, seed=2), normal(channels, seed=3)
    norm = ChannelBatchNorm(channels)
    run = normed_by(norm, dtype)

    def both(h, weight, bias, abar, g, d):
        with mock.patch.object(chunks, "worth_it", return_value=True):
            layer = DiscreteModes(abar, g[None], d)
            return run(lambda: layer.convolve_normed(h, norm), weight, bias)

    parameters = normal(channels, dtype=dtype, seed=4), normal(channels, dtype=dtype, seed=5)
    inputs = (3 + 2 * activation(*size, dtype), *parameters, abar, g, d)
    assert_same(way, both, inputs, 30 * PRECISIONS[dtype])


@pytest.mark.parametrize("dtype", PRECISIONS)
@fixed
@given(sizes)
def test_the_gate_of_a_gsu(way, dtype, size):
    batch, channels, length = size
    if batch * length < 3:
        return
    config = ModelConfig(channels=channels, **GSU)
    mixing = GsuMixing(config).to(dtype)
    run = normed_by(mixing.norm, dtype)

    def onto(h, y, s, weight, bias):
        return run(lambda: [mixing.onto(h, y, s)], weight, bias)

    streams = [activation(*size, dtype, seed=seed) for seed in (1, 2, 3)]
    parameters = normal(channels, dtype=dtype, seed=4), normal(channels, dtype=dtype, seed=5)
    assert_same(way, onto, (*streams, *parameters), 100 * PRECISIONS[dtype])


def test_products_in_bfloat16_are_gated_by_torch(way):
    mixing = GsuMixing(ModelConfig(channels=3, **GSU))
    h, y, s = (activation(2, 3, 5, torch.float32, seed=seed) for seed in (1, 2, 3))
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = mixing.onto(h, y, s), h + mixing(y, s)
    assert found.dtype == h.dtype and torch.equal(found, expected)


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_the_gelu_of_far_values(way, dtype):
    """Both its tails, where the norm leaves values as they are; NaN stays."""
    x = torch.linspace(-30, 30, 100_001, dtype=torch.float64)[None].to(dtype)
    weight, bias = x.double().std(correction=0)[None].to(dtype), torch.zeros(1, dtype=dtype)
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    found, mean, var = elementwise.gate_forward(x, one, weight, bias, 0.0, zero)
    normed = ((x - mean) * (weight / var.sqrt())).double()
    error = (found.double() - torch.nn.functional.gelu(normed)).abs()
    epsilon = torch.finfo(dtype).eps
    assert float((error / (1 + normed.abs())).max()) <= 4 * epsilon
    x[0, 7] = math.nan
    assert elementwise.gate_forward(x, one, weight, bias, 0.0, zero)[0].isnan().any()


def test_a_norm_over_several_processes_is_not_of_this_batch_alone(way):
    x, norm = torch.zeros(2, 3, 5), ChannelBatchNorm(3)
    assert in_one_pass(x, norm)
    assert not in_one_pass(x, SharedBatchNorm(3))
    assert not in_one_pass(x, norm.eval())
    way("plain")
    assert not in_one_pass(x, norm.train())


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("surrogate", ["fast-sigmoid", "arctan", "triangle", "multi-gaussian"])
@fixed
@given(sizes, st.floats(0.1, 30))
def test_spikes_and_their_surrogates(way, dtype, surrogate, size, slope):
    y = activation(*size, dtype)
    delta = normal(size[1], dtype=dtype, seed=1).abs()[:, None]
    assert_same(
        way, lambda y: spiking.heaviside(y, surrogate, slope), (y,), PRECISIONS[dtype]
    )
    assert_same(
        way, lambda y, delta: spiking.ternary(y, delta, surrogate, slope), (y, delta),
        PRECISIONS[dtype],
    )  # fmt: skip


@pytest.mark.parametrize("changes", [{}, {"mixing": "glu"}, GSU, {"cells": "lif"}], ids=str)
def test_a_networks_training_step_in_float64(way, changes, monkeypatch):
    monkeypatch.setattr(chunks, "worth_it", lambda u, abar: True)
    network = Network(ModelConfig(channels=7, modes=3, depth=2, dropout=0.1, **changes)).double()
    p = torch.randint(0, 256, (3, 1, 70), generator=torch.Generator().manual_seed(1))
    start = {k: v.clone() for k, v in network.state_dict().items()}

    def step():
        network.load_state_dict(start)
        network.train()
        torch.manual_seed(2)
        out = network(p)
        out.logits.square().sum().backward()
        gradients = [x.grad.clone() for x in network.parameters()]
        network.zero_grad()
        statistics = [v.clone() for k, v in network.state_dict().items() if "running" in k]
        values = [x.detach() for x in (out.logits, *out.membranes, *out.outputs)]
        return [*values, *gradients, *statistics]

    found = step()
    way("plain")
    for one, other in zip(found, step(), strict=True):
        assert float((one - other).abs().max()) <= 1e-10 * float(other.abs().max())


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_share_the_work(way, threads):
    x, weight = activation(3, 13, 157, torch.float64), normal(5, 13)
    inputs = (x, normal(13, 4, dtype=torch.complex128) * 0.3, normal(13, 4).cfloat(), normal(13))
    norm = ChannelBatchNorm(13).double()
    mixing = GsuMixing(ModelConfig(channels=13, **GSU)).double()

    def normed(x, abar, g, d):
        return torch.cat(chunks.convolve_normed(x, norm, abar, g, d))

    def everything():
        return [
            *results(multiply, (weight, x)), *results(chunks.convolve, inputs),
            *results(normed, inputs), *results(mixing.onto, (x, x, x)),
        ]  # fmt: skip

    expected = everything()
    with as_many(threads):
        found = everything()
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


@contextlib.contextmanager
def as_many(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def products(count, seed=1):
    """Matrix products whose parts threads share, one after the other."""
    x, weight = activation(3, 13, 157, torch.float64, seed), normal(40, 13, seed=seed)
    return torch.stack([multiply(weight, x + i) for i in range(count)])


def test_callers_at_once_get_what_each_would_alone(way):
    """There is one team of threads; who does not get it does the work himself."""
    expected = [products(200, seed) for seed in (1, 2, 3)]
    with as_many(2), ThreadPoolExecutor(3) as callers:
        found = list(callers.map(lambda seed: products(200, seed), (1, 2, 3)))
    assert all(map(torch.equal, found, expected))


def test_threads_that_have_fallen_asleep_wake(way):
    expected = products(1)
    with as_many(2):
        for _ in range(20):
            time.sleep(0.002)  # ten times as long as they stay awake
            assert torch.equal(products(1), expected)


def test_a_forked_child_has_threads_of_its_own(way):
    expected = products(1)  # too small for torch, whose own threads no child has
    with as_many(2):
        assert torch.equal(products(1), expected)
        child = os.fork()
        if not child:
            signal.alarm(30)  # which ends a child that waits for its parent's threads
            os._exit(0 if torch.equal(products(1), expected) else 3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_only_plain_tensors_of_the_cpu_are_taken(way):
    x = torch.zeros(2, 3)
    assert usable(x) and usable(x.double())
    assert not usable(x.half()) and not usable(x.to("meta"))
    with pytest.raises(ValueError, match="contiguous"):
        call("step_backward", x, 6, 0, 1.0, x.t(), x, x)
    with pytest.raises(ValueError, match="float32 was given a tensor of torch.bfloat16"):
        call("step_backward", x, 6, 0, 1.0, x.bfloat16(), x, x)


def test_flush_to_zero_stays_off(way):
    tiny = torch.tensor([1e-310], dtype=torch.float64)
    assert float(tiny * 0.5) > 0


@compiled
def test_the_target_is_what_torch_says_the_processor_can_do(monkeypatch):
    for found, expected in (("AVX2", "AVX2"), ("AVX512", "AVX512"), ("NO AVX", "DEFAULT")):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda found=found: found)
        assert target() == expected
    flags = {name: library.code("products", name).flags for name in ("AVX512", "AVX2", "DEFAULT")}
    assert "-mavx512f" in flags["AVX512"] and "-mavx512f" not in flags["AVX2"]
    assert not any(flag.startswith("-mavx") for flag in flags["DEFAULT"])
    assert not any("fast" in flag and "contract" not in flag for flag in flags["AVX2"])


@compiled
@pytest.mark.slow
@pytest.mark.parametrize("part", ["products", "loops"])
def test_every_target_of_this_kind_of_processor_compiles(part):
    """Also the one that this machine cannot run."""
    if torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        pytest.skip("another kind of processor")
    file = library.native_code.build(library.code(part, "AVX512"))
    assert file.stat().st_size > 0


def test_without_a_compiler_plain_torch_serves_and_says_so_once(monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("CXX", str(tmp_path / "none"))
    monkeypatch.delenv(operators.VARIABLE, raising=False)
    library.loaded.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            assert not usable(torch.zeros(1)) and not usable(torch.zeros(1))
    finally:
        library.loaded.cache_clear()
    assert len(caplog.records) == 1
    message = caplog.records[0].getMessage()
    assert "plain torch is slower" in message and "apt-get install g++" in message


def test_they_can_be_turned_off(monkeypatch):
    monkeypatch.setenv(operators.VARIABLE, "0")
    library.loaded.cache_clear()
    assert not usable(torch.zeros(1))
    library.loaded.cache_clear()


def test_surrogates_are_those_of_the_model():
    assert set(SURROGATES) < set(spiking._DERIVATIVES)
