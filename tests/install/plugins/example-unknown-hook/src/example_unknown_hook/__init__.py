"""A plugin for a hook that there is not."""
