"""Pure Python that every part shares: errors, names, ids, pagination, and architectures as data."""
