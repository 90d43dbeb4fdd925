"""The gateway: model calls pass through it, with what was learned, and leave their trace."""
