"""The truth: SQL tables reached through units of work, and content-addressed blobs."""
