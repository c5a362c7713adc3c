"""Real brokers and databases for every test that asks for one."""

pytest_plugins = ["autoisp_testing.fixtures"]
