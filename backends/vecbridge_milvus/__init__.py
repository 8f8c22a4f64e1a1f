"""The milvus backend of vecbridge."""
