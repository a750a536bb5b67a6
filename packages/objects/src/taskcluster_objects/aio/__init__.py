"""Transfers in async code: the same procedures, driven over aiohttp."""
