"""A spiking S4D network as someone else's training code has it: no line of it uses the project.

The parameters have the names and shapes of the minimal S4D (Gu et al., arXiv 2206.11893):
``log_dt`` (H,), ``log_A_real``, ``A_imag`` (H, N), ``C`` (H, N, 2), ``D`` (H,) and
``output_linear``, a convolution of kernel size 1. It runs as its own recurrence, in float64.
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


class Kernel(nn.Module):
    """The modes: ``A = -exp(log_A_real) + i A_imag``, ``Delta = exp(log_dt)``."""

    def __init__(self, h, n):
        super().__init__()
        self.log_dt = _uniform(math.log(0.02), math.log(0.6), h)
        self.log_A_real = _uniform(-1.5, 0.3, h, n)
        self.A_imag = nn.Parameter(math.pi * torch.arange(n) + 0.4 * torch.randn(h, n))
        self.C = nn.Parameter(torch.randn(h, n, 2))


class S4D(nn.Module):
    """``x[k] = abar x[k-1] + bbar u[k]``, ``y = 2 Re(C x) + D u``, ``o = linear(y > 0)``."""

    def __init__(self, h, n, gated, bilinear):
        super().__init__()
        self.bilinear = bilinear
        self.kernel = Kernel(h, n)
        self.D = nn.Parameter(torch.randn(h))
        rows = nn.Conv1d(h, 2 * h if gated else h, kernel_size=1)
        self.output_linear = nn.Sequential(rows, nn.GLU(dim=-2)) if gated else nn.Sequential(rows)

    def discrete(self):
        dt = torch.exp(self.kernel.log_dt)[:, None]  # (H, 1)
        A = torch.complex(-torch.exp(self.kernel.log_A_real), self.kernel.A_imag)  # (H, N)
        if self.bilinear:
            return (2 + dt * A) / (2 - dt * A), 2 * dt / (2 - dt * A)
        return torch.exp(dt * A), (torch.exp(dt * A) - 1) / A

    def forward(self, u):
        abar, bbar = self.discrete()
        C = torch.view_as_complex(self.kernel.C)  # (H, N)
        x = torch.zeros_like(abar).expand(len(u), *abar.shape)  # (B, H, N)
        y = []
        for u_k in u.unbind(-1):  # (B, H)
            x = abar * x + bbar * u_k[..., None]
            y.append(2 * (C * x).sum(-1).real + self.D * u_k)
        s = (torch.stack(y, -1) > 0).to(u.dtype)  # (B, H, L)
        return s, self.output_linear(s)


class Foreign(nn.Module):
    """Encoder, S4D layers with batch norms and residuals, pooling, decoder; as if trained."""

    def __init__(
        self, *, inputs=2, classes=3, h=5, depth=2, n=3, scale=0.125, gated=False, prenorm=True,
        bilinear=False, pooling="mean", bias=True, seed=0,
    ):
        super().__init__()
        self.scale, self.prenorm, self.pooling = scale, prenorm, pooling
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            self.encoder = nn.Linear(inputs, h, bias=bias)
            self.s4_layers = nn.ModuleList(S4D(h, n, gated, bilinear) for _ in range(depth))
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
