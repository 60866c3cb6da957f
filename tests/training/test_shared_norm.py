"""A batch norm of which two processes have a part each is that of the whole batch."""

import threading

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from snn_ssm.model import operators  # noqa: E402
from snn_ssm.model.norms import ChannelBatchNorm  # noqa: E402
from snn_ssm.training.distributed import World, share_norms  # noqa: E402

CHANNELS, STEPS = 5, 40


class Pair:
    """Two threads in the place of two processes: their sums."""

    def __init__(self):
        self.meeting, self.values = threading.Barrier(2, timeout=60), [None, None]

    def world(self, rank):
        pair = self

        class Half(World):
            def sum(self, x):
                pair.values[rank] = x
                pair.meeting.wait()
                found = pair.values[0] + pair.values[1]
                pair.meeting.wait()
                return found

        return Half(rank, 2)


def norm_of(dtype):
    torch.manual_seed(2)
    norm = ChannelBatchNorm(CHANNELS).to(dtype)
    torch.nn.init.uniform_(norm.weight, 0.5, 2.0)
    torch.nn.init.normal_(norm.bias)
    return norm


def halves(x, dy, parts):
    """What two processes get of a batch, each its own samples: outputs, gradients, buffers."""
    pair, found = Pair(), [None, None]
    networks = [torch.nn.Sequential(norm_of(x.dtype)) for _ in range(2)]  # seeds are the process's

    def work(rank):
        network = networks[rank]
        share_norms(network, pair.world(rank))
        part = x[parts[rank]].clone().requires_grad_()
        y = network(part)
        y.backward(dy[parts[rank]])
        (norm,) = network
        found[rank] = y.detach(), part.grad, norm.weight.grad, norm.bias.grad, dict(
            norm.named_buffers()
        )

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize("parts", [(slice(0, 3), slice(3, 6)), (slice(0, 1), slice(1, 6))],
                         ids=["equal parts", "unequal parts"])
@pytest.mark.parametrize("compiled", [True, False], ids=["operators", "torch"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_two_halves_are_the_whole(monkeypatch, parts, compiled, dtype, tolerance):
    if compiled:
        assert operators.usable(torch.zeros(1))
    else:
        monkeypatch.setattr(operators, "usable", lambda x, part="": False)
    generator = torch.Generator().manual_seed(7)
    x, dy = torch.randn(2, 6, CHANNELS, STEPS, generator=generator, dtype=torch.float64).to(dtype)
    x = 3 * x + torch.arange(CHANNELS)[:, None]  # (B, H, L), of means and scales of their own
    x[:2] += 5  # nor do the parts have the mean of the whole
    found = halves(x, dy, parts)
    norm, whole = norm_of(dtype), x.clone().requires_grad_()
    y = norm(whole)
    y.backward(dy)

    def close(one, other):
        return torch.allclose(one, other, rtol=tolerance, atol=tolerance)

    for rank, part in enumerate(parts):
        assert close(found[rank][0], y[part].detach())
        assert close(found[rank][1], whole.grad[part])
        for name, buffer in norm.named_buffers():
            assert close(found[rank][4][name].to(dtype), buffer.to(dtype)), name
    assert close(found[0][2] + found[1][2], norm.weight.grad)
    assert close(found[0][3] + found[1][3], norm.bias.grad)
