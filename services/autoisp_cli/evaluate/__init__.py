"""Evaluations from the command line: started, watched, reported."""
