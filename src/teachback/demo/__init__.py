"""A small application with simulated users: it knows Teachback by its SDK and HTTP API alone."""
