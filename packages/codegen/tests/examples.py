"""Small specs for tests."""

import json


def a_method(name="getWidget", route="/widget/<name>", **more):
    args = [piece.partition(">")[0] for piece in route.split("<")[1:]]
    facts = {"name": name, "title": name.title(), "description": f"Does {name}.", "method": "get", "route": route}
    return {**facts, "args": args, "stability": "stable", **more}


def an_exchange(**more):
    return {
        "name": "widgetMade",
        "title": "Widget Made",
        "description": "Published then.",
        "exchange": "widget-made",
        "routingKey": [
            {"name": "kind", "summary": "always `primary`", "constant": "primary", "required": True},
            {"name": "rest", "summary": "anything else", "multipleWords": True},
        ],
        "schema": "widgets/v1/widget.json",
        **more,
    }


def a_spec(**more):
    """Return the text of a spec, with the keys that exchanges require if it has any."""
    facts = {
        "serviceName": "widgets",
        "apiVersion": "v1",
        "className": "Widgets",
        "title": "Widgets",
        "description": "Keeps widgets.",
        "methods": [a_method()],
        "types": {"widgets/v1/widget.json": {"type": "object"}},
    }
    if "exchanges" in more:
        facts |= {
            "eventsClassName": "WidgetsEvents",
            "eventsDescription": "Announces widgets.",
            "exchangePrefix": "exchange/widgets/v1/",
        }
    facts |= more
    return json.dumps({key: value for key, value in facts.items() if value is not ...}, ensure_ascii=False)
