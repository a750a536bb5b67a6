"""`taskcluster.upload`: uploads of objects and artifacts, which taskcluster-objects brings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .facade import alias_module

if TYPE_CHECKING:
    from taskcluster_objects.upload import DATA_INLINE_MAX_SIZE as DATA_INLINE_MAX_SIZE
    from taskcluster_objects.upload import upload as upload
    from taskcluster_objects.upload import uploadArtifactFromBuf as uploadArtifactFromBuf
    from taskcluster_objects.upload import uploadArtifactFromFile as uploadArtifactFromFile
    from taskcluster_objects.upload import uploadFromBuf as uploadFromBuf
    from taskcluster_objects.upload import uploadFromFile as uploadFromFile
else:
    alias_module(__name__, "taskcluster_objects.upload")
