"""Procedures: generators that decide and yield effects. None waits, reads a clock or knows an HTTP library."""
