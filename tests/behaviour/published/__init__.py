"""Compare this client with the published one."""
