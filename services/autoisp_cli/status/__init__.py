"""``autoisp status``: all parts and the queue at a glance."""
