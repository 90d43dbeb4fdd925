"""What things are: frozen dataclasses of the standard library, one file per noun."""
