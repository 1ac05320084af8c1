"""Surgery: edits applied to modules; what stays keeps its weights."""
