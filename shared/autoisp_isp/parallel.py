"""Several processes that train one network together, each with a device and a part of every batch."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from autoisp_core.errors import InvalidArgumentError
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Parallel:
    """One of the processes; the only one if `count` is 1, and then nothing here communicates.

    All start from the same weights and take the same steps along the mean of their gradients, which is the
    gradient of the whole batch. These networks have some ten thousand weights: their gradients lie in one
    buffer, and one sum over the processes takes less time than torch's DistributedDataParallel needs to sort
    them into buckets.

    Attributes:
        rank: of this process, from 0; the first one's clock and stop count for all.
        count: of processes.
        control: group for decisions, on the CPU whatever the device is.
    """

    rank: int = 0
    count: int = 1
    control: "dist.ProcessGroup | None" = None

    def part(self, size: int) -> slice:
        """The patches of a batch of `size` that are this process's.

        Raises:
            InvalidArgumentError: the processes can't have equally many.
        """
        if size % self.count:
            raise InvalidArgumentError(
                "recipe.batch",
                f"{size} patches can't be shared by {self.count} processes: give a multiple of {self.count}",
            )
        own = size // self.count
        return slice(self.rank * own, (self.rank + 1) * own)

    def average(self, values: Tensor) -> None:
        """Replaces values by their mean over the processes, in place."""
        if self.count > 1:
            dist.all_reduce(values)
            values.div_(self.count)

    def gathered(self, values: Tensor) -> Tensor:
        """The values (N, …) of all processes one after the other, as the batch has them, on the CPU."""
        own = values.cpu().contiguous()
        if self.count == 1:
            return own
        parts = [torch.empty_like(own) for _ in range(self.count)]
        dist.all_gather(parts, own, group=self.control)
        return torch.cat(parts)

    def agreed(self, share: float, *wishes: bool) -> tuple[float, tuple[bool, ...]]:
        """The first process's share of the budget and what else it wishes, for all."""
        if self.count == 1:
            return share, wishes
        said = torch.tensor([share, *map(float, wishes)], dtype=torch.float64)
        dist.broadcast(said, 0, group=self.control)
        return float(said[0]), tuple(said[1:].bool().tolist())


ALONE = Parallel()


@contextmanager
def joined(device: str) -> Iterator[tuple[Parallel, str]]:
    """Joins the processes that `python -m torch.distributed.run` started; alone if it started none.

    Args:
        device: `cpu`, or `cuda`: each process of a machine then takes one GPU.

    Yields:
        The process, and the device it has.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE, device
        return
    cuda = device.startswith("cuda")
    own = f"cuda:{os.environ['LOCAL_RANK']}" if cuda else device
    if cuda:
        torch.cuda.set_device(own)
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Parallel(dist.get_rank(), count, dist.new_group(backend="gloo")), own
    finally:
        dist.destroy_process_group()
