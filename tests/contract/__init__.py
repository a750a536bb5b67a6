"""Test the services' classes against the specs, which are read here without the generator."""
