"""The order of names in listings: that of a real deployment's database (en_US), in which `0 < a < A < b < B`."""

from __future__ import annotations

import unicodedata

__all__ = ["collation_key"]

# https://www.unicode.org/charts/collation/: white space, punctuation, symbols, digits, then letters.
_FIRST = " _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789abcdefghijklmnopqrstuvwxyz"
# Starts at 2 because 1 separates the parts of a key.
_WEIGHTS = {ord(form): weight for weight, character in enumerate(_FIRST, 2) for form in {character, character.upper()}}


def collation_key(name: str) -> str:
    """Return a key that sorts `name` as listings do. The keys of different names differ."""
    # Case and accents decide only between names that are otherwise equal; accents come first.
    if name.isascii():
        return f"{name.translate(_WEIGHTS)}\1{name.lower()}\1{name.swapcase()}"
    decomposed = unicodedata.normalize("NFD", name)
    base = "".join(character for character in decomposed if not unicodedata.combining(character)).lower()
    return f"{base.translate(_WEIGHTS)}\1{decomposed.lower()}\1{decomposed.swapcase()}\1{name}"
