"""NAT: make an architecture that you already have better and leaner, in its own format."""

__version__ = "0.1.0"
