"""Random networks in other programs: what they send as NIR, and what they do step by step.

``NETWORKS[program, kind](dtype)`` gives a :class:`Made`. ``python tests/support/nir_frameworks.py``
prints the table of docs/how-to/nir.md.
"""

import functools
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import nir
import numpy as np
import torch

STEPS, SAMPLES, IN_NEST = 200, 16, 2
INPUTS, PICTURE = 20, (2, 8, 8)


class Made(NamedTuple):
    """``graph``: what the program exports; ``samples`` (B, C, L) of 0 and 1; ``spikes``: (B, L, H)
    of its layers, what it does with these."""

    program: str
    semantics: str
    graph: nir.NIRGraph
    samples: np.ndarray
    spikes: list


def _samples(inputs=INPUTS):
    rng = np.random.default_rng(0)
    return (rng.random((SAMPLES, inputs, STEPS)) < 0.25).astype(np.uint8)


def _flat(steps):
    """(L) tensors (B, ...) -> (B, L, H)."""
    return torch.stack(steps, 1).flatten(2).numpy().astype(int)


def _by_step(samples, shape, dtype, step, layers):
    """Spikes of ``layers`` when ``step(x) -> spikes of each`` is done for all steps."""
    found = [[] for _ in range(layers)]
    with torch.no_grad():
        for k in range(samples.shape[2]):
            x = torch.tensor(samples[:, :, k], dtype=dtype).reshape(len(samples), *shape)
            for place, spikes in zip(found, step(x), strict=True):
                place.append(spikes)
    return [_flat(steps) for steps in found]


# ------------------------------------------------------------------------------------- snnTorch
def _snntorch(kind, dtype):
    import snntorch as snn
    from snntorch.export_nir import export_to_nir

    torch.manual_seed(1)
    shape = PICTURE if kind == "conv" else (INPUTS,)
    common = {"init_hidden": True, "spike_grad": lambda x: (x > 0).to(x.dtype)}

    def neurons(model, *size, **more):
        beta, threshold = torch.rand(size) * 0.4 + 0.55, torch.rand(size) * 0.5 + 0.5
        if model is snn.Synaptic:
            more["alpha"] = torch.rand(size) * 0.3 + 0.2
        return model(beta=beta, threshold=threshold, **common, **more)

    first = {
        "Leaky": lambda: neurons(snn.Leaky, 30),
        "Leaky, zero": lambda: neurons(snn.Leaky, 30, reset_mechanism="zero"),
        "Synaptic": lambda: neurons(snn.Synaptic, 30),
        "RLeaky": lambda: neurons(snn.RLeaky, 30, linear_features=30),
        "RSynaptic": lambda: neurons(_rsynaptic(snn), 30),
    }
    if kind == "conv":
        layers = [torch.nn.Conv2d(2, 4, 3, padding=1), neurons(snn.Leaky, 4, 8, 8),
                  torch.nn.AvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(64, 10),
                  neurons(snn.Leaky, 10)]  # fmt: skip
    else:
        layers = [torch.nn.Linear(INPUTS, 30), first[kind](), torch.nn.Linear(30, 10)]
        layers += [neurons(snn.Leaky, 10, **(
            {"reset_mechanism": "zero"} if kind == "Leaky, zero" else {}))]  # fmt: skip
    net = torch.nn.Sequential(*layers).to(dtype)
    spiking = (snn.Leaky, snn.Synaptic, snn.RLeaky, snn.RSynaptic)

    def step(x):
        found = []
        for layer in net:
            x = layer(x)
            if isinstance(layer, spiking):
                found.append(x)
        return found

    samples = _samples(int(np.prod(shape)))
    for layer in net:
        if isinstance(layer, spiking):
            layer.reset_mem()
    spikes = _by_step(samples, shape, dtype, step, 2)
    graph = export_to_nir(net, torch.randn(1, *shape, dtype=dtype), ignore_dims=[0])
    semantics = "snntorch-zero" if "zero" in kind else "snntorch"
    return Made("snntorch", semantics, graph, samples, spikes)


def _rsynaptic(snn):
    def make(beta, threshold, **more):
        alpha = torch.rand(len(beta)) * 0.3 + 0.2
        return snn.RSynaptic(
            alpha=alpha, beta=beta, threshold=threshold, linear_features=len(beta), **more
        )

    return make


# ---------------------------------------------------------------------------------------- Norse
def _norse(kind, dtype):
    import norse.torch as norse
    from norse.torch.utils.export_nir import to_nir

    torch.manual_seed(2)
    shape = PICTURE if kind == "conv" else (INPUTS,)

    def size_of(*size, low=100.0, high=300.0):
        return torch.rand(size, dtype=dtype) * (high - low) + low

    def parameters(kind, *size):
        zero, v_th = torch.zeros(size, dtype=dtype), size_of(*size, low=0.1, high=0.3)
        if kind == "IAFCell":
            return norse.IAFCell(norse.IAFParameters(v_th=v_th * 4, v_reset=zero))
        given = {"tau_mem_inv": size_of(*size), "v_th": v_th, "v_leak": zero, "v_reset": zero}
        if kind == "LIFCell":
            return norse.LIFCell(norse.LIFParameters(
                tau_syn_inv=size_of(*size, low=300, high=500), **given))  # fmt: skip
        return norse.LIFBoxCell(norse.LIFBoxParameters(**given))

    if kind == "conv":
        layers = [torch.nn.Conv2d(2, 4, 3, padding=1), parameters("LIFBoxCell", 4, 8, 8)]
    else:
        layers = [torch.nn.Linear(INPUTS, 30), parameters(kind, 30), torch.nn.Linear(30, 10),
                  parameters(kind, 10)]  # fmt: skip
    layers = [layer.to(dtype) for layer in layers]
    state = [None] * len(layers)

    def step(x):
        found = []
        for i, layer in enumerate(layers):
            if i % 2:
                x, state[i] = layer(x, state[i])
                found.append(x)
            else:
                x = layer(x)
        return found

    samples = _samples(int(np.prod(shape)))
    spikes = _by_step(samples, shape, dtype, step, len(layers) // 2)
    graph = to_nir(norse.SequentialState(*layers), torch.randn(*shape, dtype=dtype))
    graph.infer_types()  # without, nir.write cannot write a Conv2d
    return Made("norse", "norse", graph, samples, spikes)


# --------------------------------------------------------------------------------------- Sinabs
def _sinabs(kind, dtype):
    import sinabs.layers as sl
    from sinabs.nir import to_nir

    torch.manual_seed(2)
    norm = kind != "LIF, norm_input=False"
    shape = PICTURE if kind == "conv" else (INPUTS,)

    def neurons(*size):
        threshold = torch.rand(size) * 0.3 + 0.2
        if kind.startswith("IAF") or kind == "conv":
            return sl.IAFSqueeze(batch_size=SAMPLES, spike_threshold=threshold)
        return sl.LIFSqueeze(
            batch_size=SAMPLES, tau_mem=torch.rand(size) * 20 + 4, norm_input=norm,
            spike_threshold=threshold / (6 if norm else 1),
        )

    if kind == "conv":
        layers = [torch.nn.Conv2d(2, 4, 3, padding=1, bias=False), neurons(4, 8, 8),
                  sl.SumPool2d(2), torch.nn.Flatten(), torch.nn.Linear(64, 10), neurons(10)]
    else:
        layers = [torch.nn.Linear(INPUTS, 30), neurons(30), torch.nn.Linear(30, 10), neurons(10)]
    samples, found = _samples(int(np.prod(shape))), []
    x = torch.tensor(samples.transpose(0, 2, 1), dtype=dtype).reshape(-1, *shape)
    with torch.no_grad():
        sent = x
        for layer in layers:
            sent = layer(sent)
            if isinstance(layer, sl.LIF | sl.IAF):
                found.append(sent.reshape(SAMPLES, STEPS, -1).numpy().astype(int))
        graph = to_nir(torch.nn.Sequential(*layers), x)
    graph.infer_types()  # without, nir.write cannot write a Conv2d or Flatten
    return Made("sinabs", "sinabs" if norm else "sinabs-sum", graph, samples, found)


# --------------------------------------------------------------------------------- SpikingJelly
def _spikingjelly(kind, dtype):
    from spikingjelly.activation_based import functional, layer, neuron
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    torch.manual_seed(2)
    shape = PICTURE if kind == "conv" else (INPUTS,)
    pairs = {
        "LIFNode": lambda: (neuron.LIFNode(tau=3.0, v_threshold=0.2),
                            neuron.LIFNode(tau=2.5, decay_input=False, v_threshold=0.4)),
        "LIFNode, v_reset=-0.1": lambda: (
            neuron.LIFNode(tau=3.0, v_threshold=0.2, v_reset=-0.1),
            neuron.ParametricLIFNode(init_tau=2.5, v_threshold=0.1)),
        "IFNode": lambda: (neuron.IFNode(v_threshold=0.5), neuron.IFNode(v_threshold=0.4)),
        "CUBALIFNode": lambda: (
            neuron.CUBALIFNode(c_decay=0.5, v_decay=0.75, v_threshold=0.6),
            neuron.CUBALIFNode(c_decay=0.4, v_decay=0.4, v_threshold=0.5)),
    }  # fmt: skip
    if kind == "conv":
        layers = [layer.Conv2d(2, 4, 3, padding=1), neuron.LIFNode(tau=2.0, v_threshold=0.2),
                  layer.AvgPool2d(2), layer.Flatten(), layer.Linear(64, 10),
                  neuron.IFNode(v_threshold=0.3)]  # fmt: skip
    else:
        first, second = pairs[kind]()
        layers = [layer.Linear(INPUTS, 30), first, layer.Linear(30, 10), second]
    net = torch.nn.Sequential(*layers).to(dtype)
    functional.set_step_mode(net, "m")
    samples, found = _samples(int(np.prod(shape))), []
    x = torch.tensor(samples.transpose(2, 0, 1), dtype=dtype).reshape(STEPS, SAMPLES, *shape)
    with torch.no_grad():
        sent = x
        for one in net:
            sent = one(sent)
            if isinstance(one, neuron.BaseNode):
                found.append(sent.flatten(2).numpy().transpose(1, 0, 2).astype(int))
        functional.reset_net(net)
        graph = export_to_nir(net, x)
    return Made("spikingjelly", "spikingjelly", graph, samples, found)


KINDS = {
    _snntorch: ("Leaky", "Leaky, zero", "Synaptic", "RLeaky", "RSynaptic", "conv"),
    _norse: ("LIFBoxCell", "LIFCell", "IAFCell", "conv"),
    _sinabs: ("LIF", "LIF, norm_input=False", "IAF", "conv"),
    _spikingjelly: ("LIFNode", "LIFNode, v_reset=-0.1", "IFNode", "CUBALIFNode", "conv"),
}
NETWORKS = {
    (make.__name__.removeprefix("_"), kind): functools.partial(make, kind)
    for make, kinds in KINDS.items()
    for kind in kinds
}
# In float64 Sinabs' own spikes are float32, which its layers refuse.
DTYPES = {program: ("float32", "float64") for program, _ in NETWORKS} | {"sinabs": ("float32",)}
CASES = [
    (program, kind, dtype) for program, kind in NETWORKS for dtype in DTYPES[program]
]


def imported(made, directory):
    """The network of what the program wrote, through a file."""
    from export.interchange import Options, load_nir

    path = Path(directory) / "x.nir"
    nir.write(path, made.graph)
    return load_nir(path, Options(made.semantics, steps=STEPS, encoding="spikes"))


def compared(made, network, backend):
    """(spikes, those that differ) of the program and a backend, all layers together."""
    from export.verification.backends import Options, runner

    count = IN_NEST if backend == "nest" else SAMPLES
    found = runner(backend, network, Options())(made.samples[:count], [])
    spikes = differ = 0
    for population, expected in zip(network.layers, made.spikes, strict=True):
        reference = expected[:count]
        spikes += int(reference.sum())
        differ += int((found.spikes[population.name].astype(int) != reference).sum())
    return spikes, differ


def _table():
    print("| program | network | type | spikes | differ in `software` | in NEST, of |")
    print("|---|---|---|---|---|---|")
    for program, kind, dtype in CASES:
        made = NETWORKS[program, kind](getattr(torch, dtype))
        with tempfile.TemporaryDirectory() as directory:
            network = imported(made, directory)
        spikes, differ = compared(made, network, "software")
        few, there = compared(made, network, "nest")
        print(f"| {program} {version(program)} | {kind} | {dtype} | {spikes:,} | {differ} | "
              f"{there}, {few:,} |")  # fmt: skip


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    _table()
