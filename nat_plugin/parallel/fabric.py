"""Ranks that Lightning Fabric starts and connects. Imported only where there are several."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, distributed

from nat_plugin.errors import NATError
from nat_plugin.execution.carrying import worker_name
from nat_plugin.execution.tally import WorkDone
from nat_plugin.parallel.batch_norm import SharedBatchNorm
from nat_plugin.parallel.processes import OtherProcesses, environment
from nat_plugin.parallel.ranks import Ranks
from nat_plugin.parallel.settings import FabricSettings

LONGEST = timedelta(days=1)
"""What one rank may do alone while the others wait for it: the first measures latency, learns its policy, writes files.
That a rank died is seen by other means."""


_WORK = "work"
"""Told in the place of a call: what each has done is wanted."""


class FabricRanks(Ranks):
    """One of several processes."""

    def __init__(self, fabric: Fabric, others: OtherProcesses) -> None:
        self.number, self.count = fabric.global_rank, fabric.world_size
        self._fabric, self._others = fabric, others
        self._leading = False
        self._done, self._first = WorkDone(), 0.0

    def add(self, tensors: Sequence[Tensor]) -> None:
        by_kind: defaultdict[torch.dtype, list[Tensor]] = defaultdict(list)
        for each in tensors:
            by_kind[each.dtype].append(each.detach())
        for alike in by_kind.values():
            all_of = torch.cat([each.flatten() for each in alike])
            with self._connected():
                distributed.all_reduce(all_of)
            for each, its in zip(alike, torch.split(all_of, [each.numel() for each in alike]), strict=True):
                each.copy_(its.view_as(each))

    def same(self, tensors: Iterable[Tensor]) -> None:
        for each in tensors:
            whole = each.detach().contiguous()
            with self._connected():
                distributed.broadcast(whole, 0)
            each.detach().copy_(whole)

    def gather(self, tensor: Tensor) -> Tensor:
        found = [torch.empty_like(tensor) for _ in range(self.count)]
        with self._connected():
            distributed.all_gather(found, tensor.contiguous())
        return torch.stack(found)

    def learning(self) -> SharedBatchNorm:
        return SharedBatchNorm(self)

    def device(self, wanted: torch.device) -> torch.device:
        return torch.device(self._fabric.device) if wanted.type != "cpu" else wanted

    def tell(self, what: Any) -> Any:
        with self._connected():
            return self._fabric.broadcast(what)

    def lead(self, name: str, thing: object, *methods: str) -> None:
        for each in methods:
            setattr(thing, each, partial(self._lead, name, each, getattr(thing, each)))

    def _lead(self, name: str, method: str, own: Callable[..., Any], *arguments: Any) -> Any:
        if self._leading:  # within another call, which the others carry out whole
            return own(*arguments)
        self.tell((name, method, arguments))
        self._leading = True
        try:
            with self._at_work():
                return own(*arguments)
        finally:
            self._leading = False

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        since = time.monotonic()
        self._first = self._first or since
        yield
        now, done = time.monotonic(), self._done
        self._done = WorkDone(done.tasks + 1, done.seconds + now - since, now - self._first)

    def work(self) -> dict[str, WorkDone]:
        self.tell(_WORK)
        return self._all_work()

    def _all_work(self) -> dict[str, WorkDone]:
        found: list[Any] = [None] * self.count
        with self._connected():
            distributed.all_gather_object(found, (worker_name(), self._done))
        return dict(found)

    def advise(self, hint: str) -> None:
        self._others.hint = f"; {hint}"

    def follow(self, things: Mapping[str, object]) -> None:
        while (told := self.tell(None)) is not None:
            if told == _WORK:
                self._all_work()
                continue
            name, method, arguments = told
            with self._at_work():
                getattr(things[name], method)(*arguments)

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """NATError where another process is no longer there, so that this one cannot go on."""
        try:
            yield
        except RuntimeError as error:  # of torch.distributed, which has many reasons and no words for them
            raise NATError(self._others.why_lost()) from error


@contextmanager
def started(settings: FabricSettings, kind: str) -> Iterator[FabricRanks]:
    """The ranks of devices of a kind (``cpu``, ``cuda``), started here or, as by torchrun or srun, already there."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    try:
        strategy = DDPStrategy(timeout=LONGEST)
        fabric = Fabric(accelerator=kind, strategy=strategy, devices=settings.devices, num_nodes=settings.nodes)
    except (ValueError, TypeError, RuntimeError, MisconfigurationException) as error:
        raise NATError(f"fabric: {' '.join(str(error).split())[:300]}") from error
    with environment(), OtherProcesses() as others:
        cluster = strategy.cluster_environment
        assert cluster is not None
        if not cluster.creates_processes_externally:
            others.start(strategy.num_processes, settings.nodes, cluster.main_port)
        try:
            fabric.launch()
        except (ValueError, RuntimeError) as error:
            lost = others.dead()
            raise NATError(f"fabric: {lost or ' '.join(str(error).split())[:300]}") from error
        ranks, as_planned = FabricRanks(fabric, others), False
        try:
            yield ranks
            if ranks.number == 0:
                ranks.tell(None)
                others.wait()
            as_planned = True
        except SystemExit:  # with which the others end
            as_planned = True
            raise
        finally:
            if as_planned or kind == "cpu":  # NCCL would wait for what others no longer send
                distributed.destroy_process_group()
