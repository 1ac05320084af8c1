"""``python -m nat_plugin.reference FOLDER`` writes the pages into it."""

from __future__ import annotations

import sys
from pathlib import Path

from nat_plugin.plugins import plugins
from nat_plugin.reference import PAGES

if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("python -m nat_plugin.reference FOLDER: the folder of the pages, docs/reference")
    for name, page in PAGES.items():
        (Path(sys.argv[1]) / name).write_text(page(plugins()), encoding="utf-8")
