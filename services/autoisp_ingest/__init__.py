"""The ingest service: takes footage in, decodes it into frames, and groups clips into datasets."""
