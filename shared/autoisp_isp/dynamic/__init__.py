"""Convolutions with kernels made from the picture, after DyNet (arXiv 2004.10694).

The parts: one :class:`DynamicConv2d` for each convolution, one :class:`Coefficients` for each block. The
paper's four networks are in :mod:`autoisp_isp.dynamic.classifiers`; :func:`dynamize` converts a network of
yours.
"""

from autoisp_isp.dynamic.coefficients import Coefficients
from autoisp_isp.dynamic.convolution import DynamicConv2d
from autoisp_isp.dynamic.dynamize import dynamize
from autoisp_isp.dynamic.freezing import freeze

__all__ = ["Coefficients", "DynamicConv2d", "dynamize", "freeze"]
