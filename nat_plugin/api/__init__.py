"""What ``import nat_plugin`` offers to scripts; the command line is made of the same functions."""
