"""The rules, each in the module of what it looks at."""
