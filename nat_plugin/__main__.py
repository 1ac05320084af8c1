"""``nat`` and ``python -m nat_plugin``."""

import atexit
import gc
import sys


def main() -> None:
    """The command line, which Ctrl-C may stop while it is still being imported."""
    atexit.register(gc.freeze)  # what the process ends with is not searched for cycles: half a second with torch
    try:
        from nat_plugin.cli import main as run

        run()
    except KeyboardInterrupt:
        print("nat: stopped", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
