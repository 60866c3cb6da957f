"""One training run on several processes, started by ``torchrun``: what they share and exchange.

Every process holds the whole network and takes its share of each batch. Its objective is its part
of the batch's loss, so that the objectives, and with them the gradients, add up to those of one
process with the whole batch. Batch norms use the statistics of the whole batch.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed.nn
from torch import Tensor, distributed, nn

from pynn_models.errors import SnnSsmError
from snn_ssm.model import operators
from snn_ssm.model.layout import from_rows, rows
from snn_ssm.model.norms import ChannelBatchNorm
from snn_ssm.model.operators import elementwise


class DeviceError(SnnSsmError):
    """A device that torch does not have."""


class _Sum(torch.autograd.Function):
    """``y = sum_r x_r`` over the processes r; backward the sum of their gradients of y."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        return _Sum.apply(grad)


@dataclass(frozen=True)
class World:
    """The processes of a run: this one's number and device, and how many there are."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def sum(self, x: Tensor) -> Tensor:
        """``sum_r x_r`` over the processes, differentiable; any shape, the same in each."""
        return x if self.size == 1 else _Sum.apply(x)

    @torch.no_grad()
    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its sum over the processes, in one message."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = self.sum(torch.cat([grad.flatten() for grad in gradients]))
        parts = flat.split([grad.numel() for grad in gradients])
        for grad, part in zip(gradients, parts, strict=True):
            grad.copy_(part.view_as(grad))

    def gather(self, value: Any) -> list[Any]:
        """The value of every process, in their order."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        distributed.all_gather_object(values, value)
        return values

    def meet(self) -> None:
        """Wait until every process is here: for the end of a run, where connections close."""
        if self.size > 1:
            distributed.barrier()

    def first(self, value: Any) -> Any:
        """The value that process 0 has: what all must do alike, one decides."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values)
        return values[0]


    def first_does(self, action: Callable[[], object]) -> None:
        """Process 0 does what is to be done once; what it raises, every process raises."""
        error = None
        if self.rank == 0:
            try:
                action()
            except SnnSsmError as raised:
                error = raised
        error = self.first(error)
        if error is not None:
            raise error


def find_device(name: str, local_rank: int = 0) -> torch.device:
    """The device of that name; ``cuda`` is the GPU of the process's number on its machine.

    Raises :class:`DeviceError`.
    """
    unknown = DeviceError(f"--device is {name!r}; expected cpu, cuda or cuda:N.")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise unknown from error
    if device.type == "cpu":
        return device
    if device.type != "cuda":
        raise unknown
    found = torch.cuda.device_count()
    index = device.index if device.index is not None else local_rank
    if index >= found:
        raise DeviceError(
            f"--device is {name!r} (number {index}), but torch finds {found} CUDA devices. Use "
            "--device cpu, or fewer processes, or install a torch built for CUDA."
        )
    return torch.device("cuda", index)


def is_first() -> bool:
    """Whether this process is the one that writes and prints: torchrun's first, or alone."""
    return not distributed.is_torchelastic_launched() or os.environ["RANK"] == "0"


def join(device: str) -> World:
    """The processes that ``torchrun`` started, connected until they end; alone without it.

    Raises :class:`DeviceError`.
    """
    if not distributed.is_torchelastic_launched():
        return World(device=find_device(device))
    found = find_device(device, int(os.environ["LOCAL_RANK"]))
    if not distributed.is_initialized():
        if found.type == "cuda":
            torch.cuda.set_device(found)
        # The group's threads end with its last reference; one that outlives the interpreter aborts
        # the process. torch.distributed.nn has default arguments that refer to the group of the
        # moment when it is imported, so it must be imported before there is one, as above.
        distributed.init_process_group("nccl" if found.type == "cuda" else "gloo")
        atexit.register(distributed.destroy_process_group)
    return World(distributed.get_rank(), distributed.get_world_size(), found)


class _SharedNorm(torch.autograd.Function):
    """``y = w (x - m) r + b`` of rows of which every process has a part, ``r = 1 / sqrt(v + eps)``.

    ``m = sum x / n``, ``v = sum (x - m)^2 / n`` over all n values of a row. Backward, with
    z = (x - m) r: ``dx = w r (dy - sum dy / n - z sum(dy z) / n)`` with sums over all processes;
    ``db`` and ``dw`` are this one's part of them. Rows x (H, M), w and b (H,); returns m, v (H,)
    and n, too, which have no gradient.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, world: World
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        compiled = operators.usable(x)
        if compiled:
            own, spread = (part.double() for part in elementwise.norm_moments(x))
        else:
            own = x.mean(1).double()  # (H,)
            spread = (x - own.to(x.dtype)[:, None]).square().mean(1).double()  # (H,)
        size = own.new_tensor([x.shape[1]])
        total = world.sum(torch.cat([size * own, size]))  # (H + 1,)
        count = total[-1]
        exact = total[:-1] / count
        around = spread + (own - exact).square()  # of this process's values, around the whole mean
        mean, var = exact.to(x.dtype), (world.sum(size * around) / count).to(x.dtype)
        ctx.save_for_backward(x, weight, mean, var, count)
        ctx.eps, ctx.world = eps, world
        ctx.mark_non_differentiable(mean, var, count)
        if compiled:
            y = elementwise.norm_apply(x, weight, bias, eps, mean, var)
        else:
            scale = weight * torch.rsqrt(var + eps)
            y = (x - mean[:, None]).mul_(scale[:, None]).add_(bias[:, None])
        return y, mean, var, count

    @staticmethod
    def backward(  # type: ignore[override]
        ctx: Any, grad: Tensor, *_: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, weight, mean, var, count = ctx.saved_tensors
        grad = grad.contiguous()
        compiled = operators.usable(x)
        rate = torch.rsqrt(var + ctx.eps)
        if compiled:
            along, plain = elementwise.norm_sums(grad, x, ctx.eps, mean, var)
        else:
            z = (x - mean[:, None]).mul_(rate[:, None])  # (H, M)
            along, plain = (grad * z).sum(1), grad.sum(1)
        means = (ctx.world.sum(torch.stack([along, plain]).double()) / count).to(x.dtype)  # (2, H)
        if compiled:
            of_x = elementwise.norm_gradient(grad, x, weight, ctx.eps, mean, var, *means)
        else:
            z.mul_(-means[0][:, None]).sub_(means[1][:, None]).add_(grad)
            of_x = z.mul_((weight * rate)[:, None])
        return of_x, along, plain, None, None


class SharedBatchNorm(ChannelBatchNorm):
    """A batch norm over the batches of all processes: (B, H, L) -> (B, H, L).

    In training by the statistics of the samples and steps of every process. Evaluation as
    ``ChannelBatchNorm``, whose parameters and buffers it has.
    """

    alone = False
    world: World

    def _of_batch(self, x: Tensor) -> Tensor:
        arguments = (self.weight, self.bias, self.eps, self.world)
        y, mean, var, count = _SharedNorm.apply(rows(x), *arguments)
        self.follow(mean, var, int(count))
        return from_rows(y, x)


def share_norms(network: nn.Module, world: World) -> None:
    """Make every batch norm of a network a :class:`SharedBatchNorm`, if there are processes."""
    if world.size == 1:
        return
    for module in list(network.modules()):
        for name, child in module.named_children():
            if type(child) is ChannelBatchNorm:
                norm = SharedBatchNorm(child.num_features, child.eps, child.momentum)
                norm.world = world
                norm.weight, norm.bias = child.weight, child.bias
                for buffer, value in child.named_buffers():
                    setattr(norm, buffer, value)
                setattr(module, name, norm)
