"""Transports: each sends requests with one HTTP library, and raises the client's exceptions."""
