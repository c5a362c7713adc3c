"""Staged rollouts: channels that serve a version to everybody, and another one to a share of the devices."""
