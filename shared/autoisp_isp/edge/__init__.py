"""Edge formats: the forms of a network that phones run, made from its ONNX file and measured against it.

See docs/guides/edge-formats.md and docs/decisions/0039.
"""

from autoisp_isp.edge.made import EXECUTORCH, FORMATS, FP16, FP32, INT8, Made, no_footage

__all__ = ["EXECUTORCH", "FORMATS", "FP16", "FP32", "INT8", "Made", "no_footage"]
