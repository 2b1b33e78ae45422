"""mien's own API, /v1."""
