"""DyNet's reductions from exported graphs at 224², side by side with the paper's; and what a bank costs.

python tests/bench/dynet.py
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from autoisp_isp.cost_graph import count_macs
from autoisp_isp.dynamic.classifiers import PAIRS, Pair, export_picture_network
from record import record

BANKS = (1, 2, 4, 6)


def reduction(pair: Pair) -> dict[str, Any]:
    """Millions of multiply-accumulates of both networks, and what the twin saves in percent."""
    static = count_macs(export_picture_network(pair.static()))
    dynamic = count_macs(export_picture_network(pair.dynamic()))
    return {
        "network": pair.name,
        "static_mmacs": round(static.total / 1e6, 1),
        "dynamic_mmacs": round(dynamic.total / 1e6, 1),
        "of_these_for_kernels_mmacs": round(dynamic.kernels / 1e6, 1),
        "reduction_percent": round(100 * (1 - dynamic.total / static.total), 1),
        "paper_arxiv_percent": pair.reduction_percent,
        "reduction_without_kernels_percent": round(100 * (1 - dynamic.network / static.network), 1),
        "paper_iclr_percent": round(pair.iclr_reduction_percent, 1),
        "paper_iclr_mmacs": list(pair.iclr_mmacs),
    }


def main() -> None:
    """Writes and prints `results/dynet.json`."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    torch.manual_seed(0)
    mobile = next(pair for pair in PAIRS if pair.name.startswith("MobileNet"))
    banks = {bank: count_macs(export_picture_network(mobile.dynamic(bank=bank))) for bank in BANKS}
    figures = {
        "what": "multiply-accumulates of one picture of 224 × 224, counted from the exported ONNX graphs",
        "reductions": [reduction(pair) for pair in PAIRS],
        "dy_mobile_by_bank": [
            {"bank": bank, "picture_mmacs": counted.network / 1e6, "kernels_mmacs": counted.kernels / 1e6}
            for bank, counted in banks.items()
        ],
    }
    record("dynet", figures)


if __name__ == "__main__":
    main()
