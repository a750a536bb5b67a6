"""The `taskcluster` command.

`main` runs it. `table.py` names the commands; each group of them is a module in `commands`, imported when one of them
is used. What they share: `app.py` (options and clients), `output.py`, `errors.py` (exit statuses), `targets.py` (ids,
web addresses and index paths), `deployment.py` (which deployment and credentials), `plugins.py` (commands of other
distributions).
"""

from . import version as version
