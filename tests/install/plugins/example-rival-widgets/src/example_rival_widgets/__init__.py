"""Widgets, too: the entry point has a name that is taken."""
