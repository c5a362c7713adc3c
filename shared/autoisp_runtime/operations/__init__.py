"""How the processes, the broker and its queues are, and what to do about what could not be handled."""
