"""`taskcluster-local run`: create the tasks of a repository's `.taskcluster.yml` on this machine, and run them."""
