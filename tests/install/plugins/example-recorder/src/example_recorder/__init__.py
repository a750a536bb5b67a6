"""A plugin that records what it observes."""

EVENTS = []
