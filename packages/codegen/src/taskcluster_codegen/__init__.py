"""Turns specs, the descriptions of Taskcluster services as data, into Python client distributions.

    spec → naming, docstrings, literals → render → tree

Only `spec.load`, `repository`, `tree` and `cli` touch files.
"""
