"""Where things are kept: the only SQL, one file per noun."""
