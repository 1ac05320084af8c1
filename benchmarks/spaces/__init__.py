"""Search spaces whose networks were all trained, as arrays; and networks at random."""
