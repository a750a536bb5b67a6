"""Transports: each does one HTTP exchange with one library and tells failures in our words."""
