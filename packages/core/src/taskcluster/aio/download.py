"""`taskcluster.aio.download`: downloads of objects and artifacts, which taskcluster-objects brings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..facade import alias_module

if TYPE_CHECKING:
    from taskcluster_objects.aio.download import ACCEPTABLE_HASHES as ACCEPTABLE_HASHES
    from taskcluster_objects.aio.download import BufferWriter as BufferWriter
    from taskcluster_objects.aio.download import FileWriter as FileWriter
    from taskcluster_objects.aio.download import HashingWriter as HashingWriter
    from taskcluster_objects.aio.download import Object as Object
    from taskcluster_objects.aio.download import download as download
    from taskcluster_objects.aio.download import downloadArtifact as downloadArtifact
    from taskcluster_objects.aio.download import downloadArtifactToBuf as downloadArtifactToBuf
    from taskcluster_objects.aio.download import downloadArtifactToFile as downloadArtifactToFile
    from taskcluster_objects.aio.download import downloadArtifactToPath as downloadArtifactToPath
    from taskcluster_objects.aio.download import downloadTaskArtifacts as downloadTaskArtifacts
    from taskcluster_objects.aio.download import downloadToBuf as downloadToBuf
    from taskcluster_objects.aio.download import downloadToFile as downloadToFile
    from taskcluster_objects.aio.download import downloadToPath as downloadToPath
    from taskcluster_objects.aio.download import getArtifactContent as getArtifactContent
    from taskcluster_objects.aio.download import streamingCopy as streamingCopy
    from taskcluster_objects.aio.download import verifyHashes as verifyHashes
else:
    alias_module(__name__, "taskcluster_objects.aio.download")
