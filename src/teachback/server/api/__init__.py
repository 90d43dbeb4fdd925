"""The HTTP API under /v1, one file per noun; the whole table is in routes.py."""
