"""The official files of NAS-Bench-201, one module for each kind."""
