"""Making the arithmetic libraries ready."""

from __future__ import annotations

import cv2
import torch


def prepare(threads: int) -> None:
    """Set the thread counts, and get slow imports over with before a job has to wait for them.

    Args:
        threads: of torch in the calling thread, and of OpenCV: what the worker was given, not the whole
            machine. ONNX Runtime's sessions are always told theirs.
    """
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    # torch's first optimiser imports its compiler, which takes as long as the rest of torch.
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
