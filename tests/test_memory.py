"""Memory of large tensors is reused while a model is computed."""

from __future__ import annotations

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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have another malloc")
def test_pages_that_were_freed_cost_no_fault_again_until_the_last_who_keeps_them_is_done() -> None:
    """In a process of its own: what others have freed is reused anyway."""
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    before, inside = map(int, done.stdout.split())
    assert inside < 0.2 * before
