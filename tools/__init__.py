"""Programs of the repository, for its own set-up and documentation."""
