"""Foreign shapes become ours: pure functions from bytes to the model."""
