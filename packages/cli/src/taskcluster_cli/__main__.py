"""`python -m taskcluster_cli` runs the command."""

from .main import run

if __name__ == "__main__":
    run()
