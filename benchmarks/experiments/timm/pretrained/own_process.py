"""Two saved models timed in turns in a process that does nothing else, with what the environment says of its memory:
where it says nothing, nobody has freed a large block before, and glibc returns that of every layer to the system.
Called by ``deployed.py``; prints a line of JSON for each batch, the smallest first."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

from benchmarks.experiments.timm.pretrained.reload import in_turns, loaded
from nat_plugin.timing import Clock


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs=2)
    parser.add_argument("--shape", type=int, nargs=3, required=True)
    parser.add_argument("--batches", type=int, nargs="+", required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    first, second = map(loaded, given.folders)
    clock = Clock("CPU time", time.thread_time)  # `Clock.of` changes what is looked at
    for batch in sorted(given.batches):
        x = torch.randn(batch, *given.shape).contiguous(memory_format=torch.channels_last)
        print(json.dumps(in_turns(first, second, x, clock)), flush=True)


if __name__ == "__main__":
    main()
