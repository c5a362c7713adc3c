"""One module per subcommand: options in, one call, output."""
