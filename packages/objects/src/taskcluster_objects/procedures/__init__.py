"""Transfers as procedures: generators that decide what to do and yield it as effects. Nothing here does I/O."""
