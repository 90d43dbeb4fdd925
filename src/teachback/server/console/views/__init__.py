"""What pages show: pure functions from model objects to frozen view models."""
