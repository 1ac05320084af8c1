"""``nat`` and ``python -m nat_plugin``."""

import sys


def main() -> None:
    """The command line, which Ctrl-C may stop while it is still being imported."""
    try:
        from nat_plugin.cli import main as run

        run()
    except KeyboardInterrupt:
        print("nat: stopped", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
