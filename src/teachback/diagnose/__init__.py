"""Find what keeps going wrong, for whom and since when."""
