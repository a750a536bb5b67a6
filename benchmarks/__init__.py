"""Benchmarks against the published client and against plain HTTP libraries. See README.md."""
