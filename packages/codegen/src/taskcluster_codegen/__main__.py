"""`python -m taskcluster_codegen`."""

from .cli import main

raise SystemExit(main())
