"""Programs for people who work on vecbridge; none of them is installed."""
