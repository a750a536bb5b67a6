"""Uploads and downloads of Taskcluster's objects and artifacts.

Programs import them as `taskcluster.upload` and `.download`, and as `taskcluster.aio.upload` and `.download`.

A transfer is a procedure (procedures/), a generator that decides what to do and yields it as effects (effects.py). It
decides by functions without I/O: methods.py, resuming.py, hashing.py, artifact_paths.py. The effects are performed by
performer.py over requests, and by aio/performer.py over aiohttp.
"""

from . import version as version
