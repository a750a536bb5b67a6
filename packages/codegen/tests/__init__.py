"""Test the generator: its rules, and the command on a small repository."""
