"""JSON schemas of `.taskcluster.yml` before it is rendered, by version."""

from __future__ import annotations

from typing import Any

__all__ = ["POLICIES", "SCHEMAS"]

POLICIES = ("public", "public_restricted", "collaborators", "collaborators_quiet")

# Below the first level, version 1 is JSON-e, which can render to anything.
_TEMPLATE: dict[str, Any] = {"type": "object"}
_METADATA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 255},
        "description": {"type": "string", "maxLength": 32768},
        "owner": {"type": "string", "maxLength": 255},
        "source": {"type": "string", "maxLength": 4096},
    },
    "required": ["name", "description", "owner", "source"],
    "additionalProperties": False,
}
_STRINGS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
_TASK: dict[str, Any] = {
    "type": "object",
    "properties": {
        "provisionerId": {"type": "string"},
        "workerType": {"type": "string"},
        "taskQueueId": {"type": "string"},
        "projectId": {"type": "string"},
        "schedulerId": {"type": "string"},
        "dependencies": _STRINGS,
        "requires": {"enum": ["all-completed", "all-resolved"]},
        "routes": _STRINGS,
        "priority": {"type": "string"},
        "retries": {"type": "integer", "minimum": 0, "maximum": 49},
        "created": {"type": "string"},
        "deadline": {"type": "string"},
        "expires": {"type": "string"},
        "scopes": _STRINGS,
        "payload": {"type": "object"},
        "metadata": _METADATA,
        "tags": {"type": "object", "additionalProperties": {"type": "string"}},
        "extra": {
            "type": "object",
            "properties": {
                "github": {
                    "type": "object",
                    "properties": {
                        "env": {"type": "boolean"},
                        "events": _STRINGS,
                        "branches": _STRINGS,
                        "excludeBranches": _STRINGS,
                    },
                }
            },
        },
    },
    "required": ["payload", "metadata"],
    "additionalProperties": False,
}

SCHEMAS: dict[int, dict[str, Any]] = {
    0: {
        "type": "object",
        "properties": {
            "version": {"enum": [0]},
            "allowPullRequests": {"enum": ["public", "collaborators"]},
            "metadata": _METADATA,
            "tasks": {"type": "array", "items": _TASK},
        },
        "required": ["version", "metadata", "tasks"],
        "additionalProperties": False,
    },
    1: {
        "type": "object",
        "properties": {
            "version": {"enum": [1]},
            "policy": {
                "type": "object",
                "properties": {
                    "pullRequests": {"enum": list(POLICIES)},
                    "allowComments": {"enum": ["collaborators"]},
                },
                "additionalProperties": False,
            },
            "autoCancelPreviousChecks": {"type": "boolean"},
            "reporting": {"enum": ["checks-v1"]},
            "hooks": {"anyOf": [{"type": "array", "items": _TEMPLATE}, _TEMPLATE]},
            "tasks": {"anyOf": [{"type": "array", "items": _TEMPLATE}, _TEMPLATE]},
        },
        "required": ["version"],
        "anyOf": [{"required": ["tasks"]}, {"required": ["hooks"]}],
        "additionalProperties": False,
    },
}
