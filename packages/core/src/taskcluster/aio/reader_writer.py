"""`taskcluster.aio.reader_writer`: async readers and writers of transfers, which taskcluster-objects brings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..facade import alias_module

if TYPE_CHECKING:
    from taskcluster_objects.aio.reader_writer import BufferReader as BufferReader
    from taskcluster_objects.aio.reader_writer import BufferWriter as BufferWriter
    from taskcluster_objects.aio.reader_writer import FileReader as FileReader
    from taskcluster_objects.aio.reader_writer import FileWriter as FileWriter
    from taskcluster_objects.aio.reader_writer import HashingReader as HashingReader
    from taskcluster_objects.aio.reader_writer import HashingWriter as HashingWriter
    from taskcluster_objects.aio.reader_writer import streamingCopy as streamingCopy
else:
    alias_module(__name__, "taskcluster_objects.aio.reader_writer")
