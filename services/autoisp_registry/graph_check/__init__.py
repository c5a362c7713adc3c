"""Looks into ONNX files that others made, in a process of their own that nothing is lost with."""

from autoisp_registry.graph_check.isolated import IsolatedChecker

__all__ = ["IsolatedChecker"]
