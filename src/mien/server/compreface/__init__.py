"""CompreFace's API, /api/v1: its clients need another address and another key, and nothing else."""
