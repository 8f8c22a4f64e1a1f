"""The client layer: everything that must be identical for all stores, written once."""
