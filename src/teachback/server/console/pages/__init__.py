"""What each address answers: one file per noun."""
