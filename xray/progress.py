"""How far a piece of work is, told to whoever asked for it."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with (how many are done, of how many)."""
