"""The services' classes against the specs they were made of, read here without the generator's help."""
