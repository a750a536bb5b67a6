"""The classes, made of the API reference."""

import json
from importlib import resources

import taskcluster.aio
from taskcluster.client import createApiClient

_REFERENCE = json.loads(resources.files("example_widgets").joinpath("reference.json").read_text("utf-8"))

Widgets = createApiClient("Widgets", _REFERENCE)
AsyncWidgets = taskcluster.aio.createApiClient("Widgets", _REFERENCE)
WidgetsEvents = createApiClient("WidgetsEvents", _REFERENCE)
