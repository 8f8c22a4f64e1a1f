"""Random filters over hostile records, and what they mean: no code of vecbridge's decides it."""
