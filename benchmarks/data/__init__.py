"""The files that experiments read: where each comes from, how it is built, and stand-ins for ``--quick``."""
