"""Test the client over real sockets, sync and async."""
