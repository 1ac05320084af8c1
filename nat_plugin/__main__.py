"""``python -m nat_plugin``."""

from nat_plugin.cli import main

main()
