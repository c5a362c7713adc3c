"""Pure Python that every part shares: errors, names, ids, states, pagination, and architectures as data."""
