"""Uploads and downloads of Taskcluster's objects and artifacts.

Programs find them as `taskcluster.upload` and `.download`, and as `taskcluster.aio.upload` and `.download`.

A transfer is a generator that yields what is to be done (effects.py) and is sent what came of it: uploading.py,
downloading.py and artifacts.py. What these decide by has no I/O: methods.py, resuming.py, hashing.py, names.py. Two
drivers do what is yielded, drive.py and aio/drive.py; they differ in `await` and in the HTTP library.
"""
