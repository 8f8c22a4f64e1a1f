"""The sklearn backend of vecbridge."""
