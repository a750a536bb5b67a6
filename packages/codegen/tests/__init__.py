"""Tests of the generator: its rules as tables, and the command on a small repository."""
