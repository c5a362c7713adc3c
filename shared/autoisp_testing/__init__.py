"""Real parts for tests: brokers, databases, processes, and synthetic scenes."""
