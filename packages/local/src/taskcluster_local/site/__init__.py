"""The web pages of a local deployment, rendered on the server.

A page is a row in `routes.py`, a view that turns API results into the template's variables, and a template. Views call
the deployment's own API methods with the credentials of the session, so the methods check scopes and payloads.
"""
