"""Data sets whose pictures stay in their files, with timm's transforms."""
