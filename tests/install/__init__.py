"""Distributions as users get them: built, installed into fresh environments, and extended by third parties."""
