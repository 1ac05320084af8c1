"""A table of an adapter's ops, in a process that has used no adapter yet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from nat_plugin.ir import NetworkSize
from nat_plugin.measuring.tables import TableSubject, blank_table
from nat_plugin.plugins import plugins

PROGRAM = """
import sys
from nat_plugin import transform
found = transform("mobilenetv2_035", {"energy": "0.8x"}, costs={"energy": sys.argv[1]}, rules="nat++inputs")
print(found.looked_up["energy"])
"""


def test_a_table_is_read_before_anything_else(tmp_path: Path) -> None:
    network = plugins().adapters["timm"].read("mobilenetv2_035", NetworkSize(input=(3, 224, 224), classes=1000))
    table = blank_table(network, "energy", "mJ", TableSubject(None))
    count = len(network.slots)
    path = tmp_path / "energy.json"
    path.write_text(table.render().replace(": null", ": 1.0"))
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 0 < float(done.stdout) <= 0.8 * (count + 1)
