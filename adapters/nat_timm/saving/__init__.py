"""Saving: weights, folders that timm loads, and programs for deployment."""
