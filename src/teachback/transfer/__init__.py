"""Bring data in and take it out, through the public API."""
