"""Messages that several services read and write: between them and what the core calls the same."""
