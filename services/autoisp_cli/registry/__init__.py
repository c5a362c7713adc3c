"""How models, versions and channels are named on the command line and shown on a terminal."""
