"""A plugin that observes and fails."""
