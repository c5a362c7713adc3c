"""Trained networks that others may take their first weights from."""

from __future__ import annotations

from autoisp_core.spec import Spec, kinship

from autoisp_search.domain import Trial, TrialState

LEAST_SHARE = 0.5
"""Of a network's weights, for an inheritance: with less the rest has to learn what to do with it."""
_MOST = 200
"""Donors to choose from, so that a choice costs the same after ten thousand trials; the best stay."""


class Donors:
    """The trials whose weights are there to take: of each architecture the longest trained, then the best."""

    def __init__(self) -> None:
        self._trials: dict[str, tuple[Trial, Spec]] = {}

    def add(self, trial: Trial) -> None:
        """A trial has ended; one without weights is none."""
        if trial.state is not TrialState.SUCCEEDED or trial.checkpoint is None:
            return
        known = self._trials.get(trial.spec_hash)
        # Not the one that came last: a search that is read from the database adds them in another order.
        if known is not None and _standing(known[0]) > _standing(trial):
            return
        self._trials[trial.spec_hash] = (trial, Spec.from_json(trial.spec))
        if len(self._trials) > _MOST:
            worst = min(self._trials, key=lambda spec_hash: _standing(self._trials[spec_hash][0]))
            del self._trials[worst]

    def nearest(self, spec: Spec) -> str:
        """Full name of the trial that most of the weights can come from; empty if none gives enough.

        Of several, the one trained longest, then the best, then the last by name: the same donors give
        the same answer, in whichever order they came.
        """
        best: tuple[tuple[float, int, float, str], str] | None = None
        for trial, donor in self._trials.values():
            share = round(kinship(spec, donor).share, 3)
            key = (share, *_standing(trial))
            if share >= LEAST_SHARE and (best is None or key > best[0]):
                best = (key, trial.name)
        return best[1] if best else ""


def _standing(trial: Trial) -> tuple[int, float, str]:
    return trial.rung, trial.quality.psnr_db if trial.quality else 0.0, trial.name
