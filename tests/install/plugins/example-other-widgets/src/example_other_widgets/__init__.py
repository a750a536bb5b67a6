"""Claims the name of example-widgets."""
