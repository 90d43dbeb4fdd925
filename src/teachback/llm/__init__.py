"""Outbound calls to models, and the one that runs here."""
