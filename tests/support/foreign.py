"""A spiking S4D network as someone else's training code has it: no line of it uses the project.

The parameters have the names and shapes of the minimal S4D (Gu et al., arXiv 2206.11893):
``log_dt`` (H,), ``log_A_real``, ``A_imag`` (H, N), ``C`` (H, N, 2), ``D`` (H,) and
``output_linear``, a convolution of kernel size 1. It runs as its own recurrence, in float64.

``kernel`` "v3" and "v4" have the parameters of the full S4's diagonal kernels instead: a trained B
(S, N), S sets of modes of which channel h has set h mod S, and options for what is positive:

    v3:  A = -f(inv_A_real) + i A_imag,         Delta = exp(log_dt)
    v4:  A = -f(A_real) - i g(A_imag),          Delta = k(inv_dt)
"""

import copy
import math

import tomli_w
import torch
from torch import nn

STEPS = 30
MODEL = {
    "activation": "heaviside", "discretisation": "zoh", "input_scale": 0.125, "pooling": "mean",
    "prenorm": True, "inputs": 2, "input_bits": 4, "classes": 3, "channels": 5, "depth": 2,
    "modes": 3,
}  # of Foreign(), as a map says it


def write_map(path, model=MODEL, **names):
    """A map for ``model``, of the minimal S4D's names unless ``names`` says otherwise."""
    table = {
        "task": {"name": "smnist", "steps": STEPS},
        "model": model,
        "names": {"layout": "s4d"} | names,
    }
    path.write_text(tomli_w.dumps(table))
    return path


def _uniform(low, high, *shape):
    return nn.Parameter(torch.empty(shape).uniform_(low, high))


POSITIVE = {
    "exp": torch.exp, "softplus": nn.functional.softplus, "sigmoid": torch.sigmoid,
    "relu": lambda x: nn.functional.relu(x) + 1e-4, "none": lambda x: x,
}


class Kernel(nn.Module):
    """The modes: ``A = -exp(log_A_real) + i A_imag``, ``Delta = exp(log_dt)``, ``B = 1``."""

    def __init__(self, h, n):
        super().__init__()
        self.log_dt = _uniform(math.log(0.02), math.log(0.6), h)
        self.log_A_real = _uniform(-1.5, 0.3, h, n)
        self.A_imag = nn.Parameter(math.pi * torch.arange(n) + 0.4 * torch.randn(h, n))
        self.C = nn.Parameter(torch.randn(h, n, 2))

    def modes(self):
        """``Delta`` (H, 1), and A, B and C, (H, N)."""
        A = torch.complex(-torch.exp(self.log_A_real), self.A_imag)
        return torch.exp(self.log_dt)[:, None], A, torch.ones_like(A), torch.view_as_complex(self.C)


class FullKernel(nn.Module):
    """The modes of S4's diagonal kernels, above; their B is trained, their C has a head's axis.

    ``real``, ``imag``, ``step``: f, g and k; a version 3 has none but f.
    """

    def __init__(self, h, n, version, sets=0, real="exp", imag="none", step="exp"):
        super().__init__()
        self.version, self.real, self.imag, self.step = version, real, imag, step
        sets = sets or h
        rates = _uniform(0.2, 0.95, sets, n)
        turns = math.pi * torch.arange(n) + 0.4 * torch.rand(sets, n) + 0.1
        turns = nn.Parameter(turns.log() if imag == "exp" else turns)
        steps = {"exp": _uniform(-4, -0.5, h, 1), "softplus": _uniform(-4, -0.5, h, 1)}.get(
            step, _uniform(0.02, 0.6, h, 1)
        )
        self.B = nn.Parameter(torch.randn(*([] if version == 3 else [1]), sets, n, 2))
        self.C = nn.Parameter(torch.randn(1, h, n, 2))
        self.A_imag = turns
        if version == 3:
            self.inv_A_real, self.log_dt = rates, nn.Parameter(steps.detach()[:, 0])
        else:
            self.A_real, self.inv_dt = rates, steps

    def modes(self):
        real = POSITIVE[self.real](self.inv_A_real if self.version == 3 else self.A_real)
        imag = POSITIVE[self.imag](self.A_imag)  # (S, N)
        A = torch.complex(-real, imag if self.version == 3 else -imag)
        stored = self.log_dt[:, None] if self.version == 3 else self.inv_dt
        dt = POSITIVE[self.step](stored)  # (H, 1)
        B = torch.view_as_complex(self.B).reshape(A.shape)
        C = torch.view_as_complex(self.C)[0]  # (H, N)
        sets = torch.arange(len(C)) % len(A)
        return dt, A[sets], B[sets], C


class S4D(nn.Module):
    """``x[k] = abar x[k-1] + bbar u[k]``, ``y = 2 Re(C x) + D u``, ``o = linear(y > 0)``.

    Of a full kernel, parameters are where S4's modules have them: ``kernel.kernel`` and ``D`` (1,
    H), or all of them within ``layer``.
    """

    def __init__(self, h, n, gated, bilinear, kernel="minimal", **options):
        super().__init__()
        self.bilinear = bilinear
        holder = self
        if kernel == "v4":
            self.layer = holder = nn.Module()
        if kernel == "v3":
            self.kernel = nn.Module()
            self.kernel.kernel = FullKernel(h, n, 3, **options)
        else:
            holder.kernel = FullKernel(h, n, 4, **options) if kernel == "v4" else Kernel(h, n)
        holder.D = nn.Parameter(torch.randn(h) if kernel == "minimal" else torch.randn(1, h))
        rows = nn.Conv1d(h, 2 * h if gated else h, kernel_size=1)
        self.output_linear = nn.Sequential(rows, nn.GLU(dim=-2)) if gated else nn.Sequential(rows)

    def forward(self, u):
        holder = getattr(self, "layer", self)
        dt, A, B, C = getattr(holder.kernel, "kernel", holder.kernel).modes()
        if self.bilinear:
            abar, bbar = (2 + dt * A) / (2 - dt * A), 2 * dt / (2 - dt * A) * B
        else:
            abar, bbar = torch.exp(dt * A), (torch.exp(dt * A) - 1) / A * B
        x = torch.zeros_like(abar).expand(len(u), *abar.shape)  # (B, H, N)
        y = []
        for u_k in u.unbind(-1):  # (B, H)
            x = abar * x + bbar * u_k[..., None]
            y.append(2 * (C * x).sum(-1).real + holder.D.reshape(-1) * u_k)
        s = (torch.stack(y, -1) > 0).to(u.dtype)  # (B, H, L)
        return s, self.output_linear(s)


class Foreign(nn.Module):
    """Encoder, S4D layers with batch norms and residuals, pooling, decoder; as if trained."""

    def __init__(
        self, *, inputs=2, classes=3, h=5, depth=2, n=3, scale=0.125, gated=False, prenorm=True,
        bilinear=False, pooling="mean", bias=True, seed=0, **kernel,
    ):
        super().__init__()
        self.scale, self.prenorm, self.pooling = scale, prenorm, pooling
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            self.encoder = nn.Linear(inputs, h, bias=bias)
            self.s4_layers = nn.ModuleList(
                S4D(h, n, gated, bilinear, **kernel) for _ in range(depth)
            )
            self.norms = nn.ModuleList(nn.BatchNorm1d(h) for _ in range(depth))
            self.decoder = nn.Linear(h, classes)
            for norm in self.norms:
                norm.running_mean.normal_(0, 0.5)
                norm.running_var.uniform_(0.5, 2)
                norm.weight.uniform_(-1.5, 1.5)
                norm.bias.normal_(0, 0.5)
                norm.num_batches_tracked.fill_(17)

    def numbers(self):
        """The state dict in NumPy."""
        return {name: tensor.numpy() for name, tensor in self.state_dict().items()}

    @torch.no_grad()
    def run(self, samples):
        """Spikes of each layer, (B, L, H), and logits (B, classes) of samples (B, C, L)."""
        net = copy.deepcopy(self).double().eval()
        p = torch.from_numpy(samples.astype("float64")) * self.scale
        h = net.encoder(p.transpose(1, 2)).transpose(1, 2)  # (B, H, L)
        spikes = []
        for layer, norm in zip(net.s4_layers, net.norms, strict=True):
            s, o = layer(norm(h) if self.prenorm else h)
            h = h + o if self.prenorm else norm(h + o)
            spikes.append(s.transpose(1, 2).bool().numpy())
        pooled = h.mean(-1) if self.pooling == "mean" else h[..., -1]  # (B, H)
        return spikes, net.decoder(pooled).numpy()
