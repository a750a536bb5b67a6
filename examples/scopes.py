"""Whether some scopes are enough: what services decide, done in a program of one's own."""

from __future__ import annotations

import taskcluster


def main() -> None:
    """Ask with scopes written out, and with those that the credentials of the environment have."""
    assumed = ["assume:worker-type:builds/*", "secrets:get:project/examples/*"]
    # Each inner list is one way to be allowed: all of its scopes are needed.
    ways = [["secrets:get:*"], ["secrets:get:project/examples/a", "assume:worker-type:builds/linux"]]
    print("by the second way:", taskcluster.scopeMatch(assumed, ways))
    print("by none:", taskcluster.scopeMatch(assumed, [["secrets:set:project/examples/a"]]))
    print("under its other name:", taskcluster.scopesMatch(assumed, ways))

    # Scopes are compared as they are: roles are expanded by the auth service.
    auth = taskcluster.Auth(taskcluster.optionsFromEnvironment())
    print("with these credentials:", taskcluster.scopeMatch(auth.currentScopes()["scopes"], ways))


if __name__ == "__main__":
    main()
