"""`taskcluster.download`: downloads of objects and artifacts, which taskcluster-objects brings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .facade import alias_module

if TYPE_CHECKING:
    from taskcluster_objects.download import download as download
    from taskcluster_objects.download import downloadArtifact as downloadArtifact
    from taskcluster_objects.download import downloadArtifactToBuf as downloadArtifactToBuf
    from taskcluster_objects.download import downloadArtifactToFile as downloadArtifactToFile
    from taskcluster_objects.download import downloadArtifactToPath as downloadArtifactToPath
    from taskcluster_objects.download import downloadTaskArtifacts as downloadTaskArtifacts
    from taskcluster_objects.download import downloadToBuf as downloadToBuf
    from taskcluster_objects.download import downloadToFile as downloadToFile
    from taskcluster_objects.download import downloadToPath as downloadToPath
    from taskcluster_objects.download import getArtifactContent as getArtifactContent
else:
    alias_module(__name__, "taskcluster_objects.download")
