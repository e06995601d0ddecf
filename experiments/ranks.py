"""The other processes of this run, where torchrun started several: who they are, and what is said when one is gone.

gloo carries what they tell each other on CPUs, NCCL on GPUs (which no GPU has confirmed yet). torch is imported only
where there is more than one.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from .command import Common

WAIT = timedelta(seconds=120)  # for a rank that neither answers nor is gone
WHILE_OTHERS_WORK = timedelta(days=7)
Settings = TypeVar("Settings", bound=Common)
Item = TypeVar("Item")


class LostRankError(ValueError):
    """Another rank is gone: none can go on alone."""


def expected_ranks() -> int:
    """How many processes torchrun has started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def joined(config: Settings) -> Iterator[Settings]:
    """Join the other ranks, if there are any, for as long as the body runs.

    Yields the config: on ranks but the first it names a run folder below the first one's, and nothing is printed there.
    Raises: ValueError for the scratch backend, which has no ranks; LostRankError where a peer never comes.
    """
    if expected_ranks() == 1:
        yield config
        return
    if config.backend != "torch":
        raise ValueError("torchrun's processes share a training of torch's: use --backend torch")
    import torch.distributed as dist

    rank = join(config.device)
    try:
        if rank == 0:
            yield config
            return
        below = None if config.out is None else str(Path(config.out) / f"rank-{rank}")
        with open(os.devnull, "w", encoding="utf-8") as nothing, redirect_stdout(nothing):
            yield replace(config, out=below)
    finally:
        dist.destroy_process_group()


def join(device: str, *, wait: timedelta = WAIT) -> int:
    """Meet the other ranks; this one's number. Raises: LostRankError if they do not come."""
    import torch
    import torch.distributed as dist

    on_gpus = device != "cpu" and torch.cuda.is_available()
    if on_gpus:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    try:
        dist.init_process_group("nccl" if on_gpus else "gloo", timeout=wait, **_meeting_place(wait))
    except RuntimeError as error:
        raise LostRankError(f"the other ranks did not come: {_first_line(error)}") from None
    return dist.get_rank()


def _meeting_place(wait: timedelta) -> dict[str, Any]:
    """Under torchrun its own store, with a part of it for each start; else what the environment says.

    torchrun keeps one store for all its restarts, and a rank that looked up its peers there would find the addresses
    of those that are gone. Source: pytorch#135712.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return {}
    import torch.distributed

    dist: Any = torch.distributed
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = dist.PrefixStore(
        f"start {os.environ['TORCHELASTIC_RESTART_COUNT']}", dist.TCPStore(host, port, is_master=False, timeout=wait)
    )
    return {"store": store, "rank": int(os.environ["RANK"]), "world_size": expected_ranks()}


@dataclass(frozen=True, slots=True)
class Share:
    """This process's part of a list of jobs: every `size`-th from `rank` on."""

    rank: int = 0
    size: int = 1

    def of(self, items: Sequence[Item]) -> Sequence[Item]:
        """The jobs that are this process's: all of them where it is alone."""
        return items[self.rank :: self.size]

    def wait(self) -> None:
        """Wait until every process has come here. Raises: LostRankError if one never will."""
        if self.size > 1:
            import torch.distributed as dist

            with peers("while it waited for the others"):
                dist.barrier()


@contextmanager
def sharing(config: Common) -> Iterator[Share]:
    """Join the other ranks, if there are any, to share out jobs; what the body trains, it trains alone.

    Raises: ValueError without a run folder that all of them know; LostRankError where a peer never comes.
    """
    if expected_ranks() == 1:
        yield Share()
        return
    if config.out is None:
        raise ValueError("torchrun's processes share one run folder: say which with --out")
    import torch.distributed as dist

    rank = join(config.device, wait=WHILE_OTHERS_WORK)
    share, world = Share(rank, dist.get_world_size()), os.environ.pop("WORLD_SIZE")
    try:
        yield share
    finally:
        os.environ["WORLD_SIZE"] = world
        dist.destroy_process_group()


@contextmanager
def peers(where: str) -> Iterator[None]:
    """Say plainly that a peer is gone, where the library says what its socket saw."""
    import torch.distributed as dist

    try:
        yield
    except RuntimeError as error:
        again = "start all again with the same --out to go on from the last checkpoint"
        rank, size = dist.get_rank(), dist.get_world_size()
        reason = f"rank {rank} of {size} stopped {where} because another rank is gone or silent; {again}"
        raise LostRankError(f"{reason} ({_first_line(error)})") from None


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0].split(". ", 1)[0]
