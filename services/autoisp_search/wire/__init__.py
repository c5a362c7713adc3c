"""Between the domain and the generated messages; nothing else in the service sees both."""
