"""The embedded mode: everything on one machine, as child processes of the command."""

from autoisp_cli.local.stack import LocalStack, default_workers

__all__ = ["LocalStack", "default_workers"]
