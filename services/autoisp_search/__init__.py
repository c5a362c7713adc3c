"""The search service: from a prototype and a budget to the best network."""
