"""Intervals and estimators: pure, used everywhere a rate is shown."""
