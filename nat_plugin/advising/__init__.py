"""`nat advise`: what each change of a network with weights saves, what it changes, and which go well together."""
