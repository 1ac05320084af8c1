"""Inside NNI."""
