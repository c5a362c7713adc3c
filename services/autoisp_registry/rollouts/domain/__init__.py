"""Channels, their rollouts, who gets what, and when too many fail."""
