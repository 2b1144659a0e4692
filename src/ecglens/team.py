"""Several processes, on one host or more, that train one network: what ``torchrun`` starts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

_PATIENCE = timedelta(hours=2)  # the others wait while the first prepares the records


@dataclass(frozen=True, slots=True)
class Team:
    """This process's ``rank`` among ``size``; the first one, rank 0, writes and reports."""

    rank: int = 0
    size: int = 1
    on_host: int = 1  # of them

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.size > 1:
            dist.barrier()

    def in_step(self, network: nn.Module) -> nn.Module:
        """The network, its batch norms over the batches of the whole team (which PyTorch can do on CUDA only)."""
        together = self.size > 1 and next(network.parameters()).is_cuda
        return nn.SyncBatchNorm.convert_sync_batchnorm(network) if together else network  # type: ignore[no-untyped-call]

    def share(self, network: nn.Module) -> nn.Module:
        """The network with gradients averaged over the team; as it is in a team of one."""
        return DistributedDataParallel(network) if self.size > 1 else network


ALONE = Team()


@contextmanager
def joined(device: torch.device) -> Iterator[Team]:
    """Join the team that ``torchrun`` set up, or be alone; on CUDA each process gets its own device of its host."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield Team(dist.get_rank(), size, int(os.environ["LOCAL_WORLD_SIZE"]))
    finally:
        dist.destroy_process_group()
