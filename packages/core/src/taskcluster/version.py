"""The version that all distributions of the family share: that of the Taskcluster whose API they carry."""

VERSION = "113.2.0"
