"""Building: documents as modules, by timm, and whether two modules are the same."""
