"""Check scopes like services do."""

from __future__ import annotations

import taskcluster


def main() -> None:
    """Check explicit scopes, and the scopes of the credentials from the environment."""
    assumed = ["assume:worker-type:builds/*", "secrets:get:project/examples/*"]
    # All scopes of one inner list are needed.
    ways = [["secrets:get:*"], ["secrets:get:project/examples/a", "assume:worker-type:builds/linux"]]
    print("by the second way:", taskcluster.scopeMatch(assumed, ways))
    print("by none:", taskcluster.scopeMatch(assumed, [["secrets:set:project/examples/a"]]))
    print("as scopesMatch:", taskcluster.scopesMatch(assumed, ways))

    # scopeMatch does not expand roles; the auth service does.
    auth = taskcluster.Auth(taskcluster.optionsFromEnvironment())
    print("with these credentials:", taskcluster.scopeMatch(auth.currentScopes()["scopes"], ways))


if __name__ == "__main__":
    main()
