"""Help the next answer: find what is known, and choose what of it to give."""
