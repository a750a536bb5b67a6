"""The services. In each package `state` has the rules and no HTTP; `routes` has the methods and no rules."""
