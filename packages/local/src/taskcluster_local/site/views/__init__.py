"""The views: each turns API results into the variables of a template."""
