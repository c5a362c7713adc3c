"""The result as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def summary_lines(result: Mapping[str, Any]) -> Iterator[str]:
    """One line for each strategy, the best first, under a heading that says what was measured."""
    trials, seeds, strategies = str(result["trials"]), result["seeds"], result["strategies"]
    main, lax = result["references"]
    way = "of as much training, low fidelity first" if result["halving"] else "at the high fidelity"
    yield (
        f"Hypervolume of (PSNR, ln MAC/px) as a share of the table's best front, {seeds} seeds, "
        f"{trials} trials {way}."
    )
    yield f"Reference: the {main} network's quality; in the last column the {lax} one's."
    marks = list(next(iter(strategies.values()))["at"])
    heads = [f"at {mark}" for mark in marks]
    randoms = [name for name in ("random", "optuna-random") if name in strategies]
    titles = ["strategy", *heads, "quartiles", "to best peer", *(f"as {name}" for name in randoms)]
    titles += ["rank corr.", "s/trial", f"to best peer ({lax})"]
    rows = [titles]
    order = sorted(strategies, key=lambda name: -strategies[name]["at"][trials]["median"])
    for name in order:
        found = strategies[name]
        final, ratio, rank = found["at"][trials], found["ratio_to_best_peer"], found["rank_correlation"]
        rows.append(
            [
                name,
                *(f"{found['at'][mark]['median']:.3f}" for mark in marks),
                f"{final['low']:.3f}–{final['high']:.3f}",
                f"{ratio[main].get(trials, 0):.3f}",
                *(_after(found["trials_to_front_of"][random]) for random in randoms),
                f"{rank['median']:.2f}" if rank else "",
                f"{found['seconds_per_trial']:.3f}" if found["seconds_per_trial"] else "",
                f"{ratio[lax].get(trials, 0):.3f}",
            ]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(titles))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield f"'as random': trials until the median is what random's is after {trials}."
    yield f"peers: {', '.join(result['peers'])}."


def _after(trials: int | None) -> str:
    return "never" if trials is None else str(trials)
