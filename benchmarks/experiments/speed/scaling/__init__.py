"""How well several workers use their time: work, tasks without work, one long stream."""
