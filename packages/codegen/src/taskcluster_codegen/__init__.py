"""Turns specs, the descriptions of services as data, into Python client distributions.

    sources → references ↘
                     spec → naming, docstrings, literals → render → tree

Only `spec.load`, `sources`, `project`, `repository`, `tree` and `cli` touch files or the network.
"""
