"""Act: what is learned from feedback, and who lets it reach a prompt."""
