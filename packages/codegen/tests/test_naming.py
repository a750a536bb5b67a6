"""Test names derived from specs."""

import pytest

from taskcluster_codegen import naming


@pytest.mark.parametrize(
    ("service", "distribution", "package", "variable"),
    [
        ("queue", "taskcluster-queue", "taskcluster_queue", "queue"),
        ("purge-cache", "taskcluster-purge-cache", "taskcluster_purge_cache", "purge_cache"),
        ("worker-manager", "taskcluster-worker-manager", "taskcluster_worker_manager", "worker_manager"),
        ("object", "taskcluster-object", "taskcluster_object", "object_service"),
    ],
)
def test_service_names(service, distribution, package, variable):
    assert naming.distribution(service) == distribution
    assert naming.package(service) == package
    assert naming.variable(service) == variable


@pytest.mark.parametrize(
    ("service", "spellings"),
    [("queue", ["queue"]), ("purge-cache", ["purge-cache", "purgeCache", "purge_cache", "purgecache"])],
)
def test_spellings(service, spellings):
    assert naming.spellings(service) == spellings


@pytest.mark.parametrize(
    ("class_name", "module"),
    [("Queue", "queue"), ("PurgeCache", "purgecache"), ("WorkerManagerEvents", "workermanagerevents")],
)
def test_compat_module_names(class_name, module):
    assert naming.compat_module(class_name) == module


@pytest.mark.parametrize(
    ("service", "name", "reference"),
    [
        ("queue", "queue/v1/task.json", "v1/task.json#"),
        ("purge-cache", "purge-cache/v1/purge-cache-request.json", "v1/purge-cache-request.json#"),
        ("queue", "queue/v1/queue/task.json", "v1/queue/task.json#"),
        ("queue", None, None),
    ],
)
def test_type_references(service, name, reference):
    assert naming.type_reference(service, name) == reference
