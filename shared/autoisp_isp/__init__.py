"""Pixels: raw conventions, synthesis, prototypes, networks, training and evaluation."""
