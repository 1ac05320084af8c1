"""Where calls are carried out: in this process, in others of this machine, or wherever an engine takes them."""
