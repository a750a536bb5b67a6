"""Both clients beside each other: the published one and ours."""
