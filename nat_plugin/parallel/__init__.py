"""Several processes that train the same weights, each on its part of every batch, by Lightning Fabric."""
