"""The services: in each package `state` has the rules and knows no HTTP, `routes` has the methods and no rules."""
