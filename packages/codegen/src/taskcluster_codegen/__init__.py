"""Generate Python client distributions from specs, which describe services as data.

    sources → references ↘
                     spec → naming, docstrings, literals → render → tree

Only `spec.load`, `sources`, `project`, `repository`, `tree` and `cli` access files or the network.
"""

from . import version as version
