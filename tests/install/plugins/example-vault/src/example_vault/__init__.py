"""A plugin that has credentials for one deployment."""

ASKED = []
