"""Networks as modules of torch: built by NNI, and saved so that NNI is not needed to load them."""
