"""The policy and its critic, without queries and with few: at home, under limits, and on tasks left out."""
