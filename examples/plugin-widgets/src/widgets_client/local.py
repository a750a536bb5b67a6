"""The Widgets service in the local deployment."""

from __future__ import annotations

import json
from importlib import resources

from taskcluster_local.plugins import ApiError, Context, Handler, HandlerCall, LocalService, Page, Result, Row, hookimpl

__all__ = ["handlers", "taskcluster_local_services"]

TABLES = """
CREATE TABLE IF NOT EXISTS widgets (
    name TEXT PRIMARY KEY, description TEXT NOT NULL, colour TEXT NOT NULL, created TEXT NOT NULL
) WITHOUT ROWID;
"""


def handlers(context: Context) -> dict[str, Handler]:
    """Return the handlers, by method."""
    store = context.store
    store.create(TABLES)

    def entry(name: str) -> Row | None:
        return store.one("SELECT * FROM widgets WHERE name = ?", name)

    async def create(call: HandlerCall) -> Result:
        name, wanted = call.params["name"], call.payload
        known = entry(name)
        if known is not None:
            if (known["description"], known["colour"]) != (wanted["description"], wanted["colour"]):
                raise ApiError("RequestConflict", f"Entry {name} exists with another description or colour")
            return known
        created = call.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with store.transaction():
            values = (name, wanted["description"], wanted["colour"], created)
            store.run("INSERT INTO widgets VALUES (?, ?, ?, ?)", *values)
            context.events.publish("widgets", "entryCreated", {"name": name}, name=name)
        return {"name": name, **wanted, "created": created}

    async def get(call: HandlerCall) -> Result:
        found = entry(call.params["name"])
        if found is None:
            raise ApiError("ResourceNotFound", "No such entry")
        return found

    async def list_(call: HandlerCall) -> Result:
        found = Page.of(call.query).read(store, "SELECT * FROM widgets", names=("name",))
        return found.body("entries", lambda row: row)

    async def remove(call: HandlerCall) -> Result:
        store.run("DELETE FROM widgets WHERE name = ?", call.params["name"])
        return {}

    return {"create": create, "get": get, "list": list_, "remove": remove}


@hookimpl
def taskcluster_local_services() -> list[LocalService]:
    """Return this service."""
    reference = json.loads(resources.files("widgets_client").joinpath("reference.json").read_text("utf-8"))
    return [LocalService(reference=reference, handlers=handlers)]
