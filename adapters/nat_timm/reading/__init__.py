"""Reading: a model traced as a graph, its blocks, and what its layers cost."""
