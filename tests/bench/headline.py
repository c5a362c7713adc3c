"""The headline: what `autoisp tune` finds, against the prototype and a plain stack of three frames.

    python tests/bench/headline.py --prototype FILE.onnx --train DIR --test DIR \\
        --reduction 100 --minutes 30 --json

Both networks are found, trained and judged by `autoisp tune` as a user runs it: the same clips, the same
noise, the same minutes; the stack is a search over the one network that is it. Where several workers search,
it is trained by as many threads. Prints dB of each unseen clip and their mean, a mean over clips.

--train and --test take files and folders, as `autoisp tune` does; --pans a folder of stills, over which the
camera pans in further training clips. Interrupted, the same command goes on where it was; another one needs
another --out. What stands behind
`--` goes to `autoisp tune`, for both networks: `-- --strategy random`.

With the project's own clips, whose folder has training and test clips side by side:

    python tests/bench/headline.py --prototype demosaicnet_ffdnet.onnx --reduction 100 --minutes 30 \\
        --train video/bikes.mp4 video/carphone_pristine.mp4 video/bottle-detection.mp4 --pans stills \\
        --test video/car-detection.mp4 video/motorbike
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autoisp_core.spec import LayerType, SearchSpace, Spec, cost
from autoisp_core.spec.blocks import chain
from pans import make_films
from record import record

STACK = Spec(chain([(LayerType.CONV, 3)]), 20, repeats=3, packing=2, frames=3, stem_kernel=3, head_kernel=1)
"""Plain, 3,300 MAC per pixel: a 3×3 stem of three frames, three residual 3×3 convolutions, shuffle."""
_ENDED = (0, 1)
"""Exit codes of a `tune` that ran to its end, whether or not the network passed."""
_SAME_FRAMES_DB = 0.01
"""The prototype's own figures agree to this, or both were not judged on the same noise."""


def main() -> None:
    """Runs what is missing, then prints the comparison."""
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    training = [*options.train, *(make_films(options.pans, options.out) if options.pans else [])]
    found = _tune(
        options,
        training,
        "found",
        ["--reduction", options.reduction, "--minutes", options.minutes, "--workers", options.workers],
        threads=1,
    )
    stack = None if options.no_stack else _tune(options, training, "stack", _stack(options), options.workers)
    figures = {
        "reduction": float(options.reduction),
        "minutes": float(options.minutes),
        "workers": int(options.workers),
        "device": options.device,
        "seed": int(options.seed),
        "tune_options": options.more,
        **compared(found, stack),
    }
    if options.record:
        record(options.record, figures)
    else:
        print(json.dumps(figures, indent=1) if options.json else "\n".join(table(figures)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prototype", required=True, help="an ONNX file, or builtin:classical")
    parser.add_argument("--train", nargs="+", required=True, help="clips, or folders of them")
    parser.add_argument("--pans", type=Path, help="folder of stills to make panning clips of")
    parser.add_argument("--test", nargs="+", required=True, help="unseen clips, or folders of them")
    parser.add_argument("--reduction", default="100", help="of the prototype's MAC per pixel")
    parser.add_argument("--minutes", default="30", help="of training, in all, for each of the two")
    parser.add_argument("--noise", default="0.01,0.0005", help="shot and read variance")
    parser.add_argument("--workers", default=str(os.cpu_count() or 1), help="trials at once")
    parser.add_argument("--device", default="cpu", help="where networks are trained: cpu, cuda or cuda:N")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--no-stack", action="store_true", help="only against the prototype")
    parser.add_argument("--out", type=Path, default=Path("headline"), help="folder of reports and state")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    parser.add_argument("--record", metavar="NAME", help="write them to tests/bench/results/NAME.json")
    words, behind = sys.argv[1:], []
    if "--" in words:
        words, behind = words[: words.index("--")], words[words.index("--") + 1 :]
    options = parser.parse_args(words)
    options.more = behind
    return options


def _stack(options: argparse.Namespace) -> list[str]:
    """What makes `tune` train the stack and nothing else, for all of the time."""
    space = SearchSpace(
        types=(LayerType.CONV,),
        kernels=(3,),
        max_layers=1,
        widths=(STACK.width,),
        repeats=(STACK.repeats,),
        packings=(STACK.packing,),
        frames=(STACK.frames,),
        stem_kernels=(STACK.stem_kernel,),
        head_kernels=(STACK.head_kernel,),
        recurrent=(0,),
    )
    path = options.out / "stack-space.json"
    path.write_text(space.to_json())
    macs, seconds = math.ceil(cost(STACK).macs_per_pixel), round(60 * float(options.minutes))
    return ["--budget-macs", f"{macs}", "--rung", f"1x{seconds}s", "--space", str(path), "--workers", "1"]


def _tune(
    options: argparse.Namespace,
    training: Sequence[str | Path],
    name: str,
    own: Sequence[str],
    threads: str | int,
) -> dict[str, Any]:
    """Runs `autoisp tune`, unless it ran already, and gives the figures of its report.

    Raises:
        SystemExit: it failed, or what is there is of other settings.
    """
    report: Path = options.out / name
    figures = report / "result.json"
    prototype = options.prototype if options.prototype.startswith("builtin:") else f"onnx:{options.prototype}"
    settings = ["--footage", *map(str, training), "--test", *map(str, options.test)]
    settings += ["--prototype", prototype, "--noise", options.noise, "--seed", options.seed]
    settings += [*own, *options.more]
    compute = {"AUTOISP_DEVICE": options.device, "AUTOISP_THREADS": str(threads)}
    _keep_settings(options.out / f"{name}-settings.json", {"tune": settings, **compute}, figures)
    if not figures.exists():
        command = [*settings, "--json", "--out", str(report), "--state", str(options.out / "state")]
        environment = {**os.environ, **compute}
        with (options.out / f"{name}.log").open("a") as log:
            ended = subprocess.run(
                [sys.executable, "-m", "autoisp_cli", "tune", *command],
                env=environment,
                stdout=log,
                check=False,
            )
        if ended.returncode not in _ENDED or not figures.exists():
            raise SystemExit(
                f"autoisp tune ended with code {ended.returncode}, see {log.name}; run again, it goes on"
            )
    result: dict[str, Any] = json.loads(figures.read_text())
    failed = [clip for clip in result["clips"] if clip["failure"]]
    if failed:
        raise SystemExit(f"{failed[0]['display_name']} could not be judged: {failed[0]['failure']}")
    return result


def _keep_settings(path: Path, settings: Mapping[str, Any], figures: Path) -> None:
    """Notes what a run is made with, before it begins: one that goes on must not mix two sets of options."""
    if path.exists() or figures.exists():
        known = json.loads(path.read_text()) if path.exists() else None
        if known != settings:
            raise SystemExit(f"{figures.parent} is of other settings, see {path}; use another --out")
    path.write_text(json.dumps(settings, indent=1))


def compared(found: Mapping[str, Any], stack: Mapping[str, Any] | None) -> dict[str, Any]:
    """The figures of both reports side by side; differences in dB, more being better.

    Args:
        found, stack: of `result.json`.

    Raises:
        SystemExit: they were judged on different frames.
    """
    stacks = {clip["clip"]: clip for clip in stack["clips"]} if stack else {}
    clips = []
    for clip in found["clips"]:
        row = {
            "clip": clip["display_name"],
            "frames": clip["frames"],
            "prototype": clip["psnr_prototype"],
            "found": clip["psnr_model"],
            "ahead_of_prototype": clip["psnr_model"] - clip["psnr_prototype"],
        }
        if stack:
            other = stacks[clip["clip"]]
            if abs(other["psnr_prototype"] - clip["psnr_prototype"]) > _SAME_FRAMES_DB:
                raise SystemExit(f"{clip['display_name']} was judged on different frames; use another --out")
            row |= {"stack": other["psnr_model"], "ahead_of_stack": clip["psnr_model"] - other["psnr_model"]}
        clips.append(row)
    mean = {
        key: statistics.fmean(row[key] for row in clips) for key in clips[0] if key not in ("clip", "frames")
    }
    return {
        "macs_per_pixel": {
            "prototype": found["macs_per_pixel_prototype"],
            "found": found["macs_per_pixel"],
            **({"stack": stack["macs_per_pixel"]} if stack else {}),
        },
        "seconds_per_megapixel": {
            "prototype": found["seconds_per_megapixel_prototype"],
            "found": found["seconds_per_megapixel"],
            **({"stack": stack["seconds_per_megapixel"]} if stack else {}),
        },
        "mean_db": mean,
        "clips_db": clips,
        "below_prototype": [row["clip"] for row in clips if row["ahead_of_prototype"] < 0.0],
        "spec": json.loads(found["spec"]),
        "trials": found["trial_states"],
    }


def table(figures: Mapping[str, Any]) -> list[str]:
    """The figures as lines for people."""
    columns = list(figures["mean_db"])
    lines = ["".join(["clip".ljust(24), *(name.replace("_", " ").rjust(20) for name in columns)])]
    for name, row in [*((row["clip"], row) for row in figures["clips_db"]), ("mean", figures["mean_db"])]:
        lines.append("".join([name[:23].ljust(24), *(f"{row[key]:20.2f}" for key in columns)]))
    for key, unit, form in (("macs_per_pixel", "MAC/px", ",.0f"), ("seconds_per_megapixel", "s/MP", ".3f")):
        values = (f"{who} {value:{form}}" for who, value in figures[key].items() if value is not None)
        lines.append(f"{unit}: {', '.join(values)}")
    return lines


if __name__ == "__main__":
    main()
