"""What experiments share: results with what they came from, intervals, tables."""
