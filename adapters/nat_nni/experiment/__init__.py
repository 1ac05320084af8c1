"""The strategies inside experiments of NNI: where they start, what they propose as trials, what they keep."""
