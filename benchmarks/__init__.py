"""Measurements of this client beside the published one and beside bare HTTP libraries; README.md says more."""
