"""How a suite says what it is doing."""

from collections.abc import Callable

Progress = Callable[[str], None]
