"""Any model space as a network: its choices found, measured on the meta device, and put into a chain of cells."""
