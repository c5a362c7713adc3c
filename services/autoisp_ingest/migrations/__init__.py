"""The schema of ingest's database, step by step; applied at the start of the service."""
