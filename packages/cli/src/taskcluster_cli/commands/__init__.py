"""The commands, one module for each group; `taskcluster_cli.table` names them."""
