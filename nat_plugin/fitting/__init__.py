"""Fitting in closed form: weights of convolutions by ridge regression on what goes in and what is to come out."""
