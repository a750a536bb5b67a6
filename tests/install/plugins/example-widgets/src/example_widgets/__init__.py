"""A service that is none of Taskcluster's."""
