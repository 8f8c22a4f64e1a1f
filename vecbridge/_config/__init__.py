"""Finding a backend and its settings."""
