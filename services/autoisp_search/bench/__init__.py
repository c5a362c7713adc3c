"""The table benchmark: a complete small space whose networks were all trained once, and what replays on it.

Training a network takes seconds and looking it up takes none, so a strategy is judged over many seeds in
seconds. ``docs/guides/search-benchmark.md`` says how the table was made and what is measured.
"""
