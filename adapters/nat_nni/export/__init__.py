"""Networks as modules of torch: built by NNI, and saved so that NNI is not needed to load them."""

from nat_plugin.extending import lazy_names

__getattr__, _ = lazy_names(__name__, {}, {name: f"nat_nni:{name}" for name in ("export_module", "save_module")})
