"""The web edge: the only place that knows about HTTP."""
