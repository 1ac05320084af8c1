"""Networks as pictures: scalable graphics for notebooks, reports and files."""
