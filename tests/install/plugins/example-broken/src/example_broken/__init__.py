"""A plugin that fails to load."""
