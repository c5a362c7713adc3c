"""The whole system as real processes, and what may befall it."""
