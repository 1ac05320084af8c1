"""Memory of large tensors is reused while a model is computed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

FAULTS = """
import resource, torch
from nat_plugin.memory import memory_kept

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        torch.empty(2**26, dtype=torch.uint8).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults())
with memory_kept():
    with memory_kept():
        faults()
    print(faults())
"""


TIMES = """
import resource, torch
from torch import nn
from nat_plugin.timing import Clock

torch.set_num_threads(1)
part = nn.Sequential(nn.Conv2d(16, 96, 1), nn.ReLU6(), nn.Conv2d(96, 96, 3, 2, 1, groups=96), nn.Conv2d(96, 24, 1))
part = part.eval().to(memory_format=torch.channels_last)
x = torch.randn(1, 16, 112, 112).contiguous(memory_format=torch.channels_last)

@torch.no_grad()
def faults():
    part(x)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        part(x)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults())
Clock.of(x.device)
print(faults())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have another malloc")
def test_what_is_timed_does_not_depend_on_what_the_process_has_freed_before() -> None:
    done = subprocess.run([sys.executable, "-c", TIMES], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert after < 0.2 * before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have another malloc")
@pytest.mark.parametrize(
    "told",
    [{"MALLOC_MMAP_THRESHOLD_": "65536"}, {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=65536"}],
    ids=lambda told: next(iter(told)),
)
def test_what_the_user_has_told_glibc_stays(told: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TIMES], capture_output=True, text=True, check=True, env=os.environ | told
    )
    before, after = map(int, done.stdout.split())
    assert after > 0.8 * before > 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have another malloc")
def test_pages_that_were_freed_cost_no_fault_again_until_the_last_who_keeps_them_is_done() -> None:
    """In a process of its own: what others have freed is reused anyway."""
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    before, inside = map(int, done.stdout.split())
    assert inside < 0.2 * before
