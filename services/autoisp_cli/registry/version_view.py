"""A version on a terminal: its figures first, what devices can run, and what the gate said."""

from __future__ import annotations

from collections.abc import Iterator

from autoisp.registry.v1 import registry_pb2 as wire
from rich.table import Table
from rich.text import Text

from autoisp_cli.commands.common import time_text
from autoisp_cli.registry.checks import check_lines
from autoisp_cli.report.figures import number

Rows = Iterator[tuple[str, Text | str]]

_NAMED = {
    "psnr_model",
    "psnr_prototype",
    "ssim_model",
    "ssim_prototype",
    "macs_per_pixel",
    "mac_ratio",
    "seconds_per_megapixel_model",
    "seconds_per_megapixel_prototype",
    "latency_ratio",
    "parameters",
    "size_bytes",
}


def version_rows(version: wire.ModelVersion, *, workers: bool = True) -> Rows:
    """Name and value pairs, the figures before everything else.

    Args:
        workers: whether there may be any that make its formats.
    """
    yield "name", Text(version.name, style="bold").append(_aliases(version), style="green")
    if version.HasField("delete_time"):
        yield "deleted", Text(f"gone for good {time_text(version, 'purge_time')}", style="red")
    if version.description:
        yield "about", version.description
    yield from _figures(version)
    if version.HasField("gate"):
        passed = version.gate.passed
        yield "passed", Text("yes" if passed else "no", style="green" if passed else "bold red")
        for place, line in enumerate(check_lines(version.gate.checks)):
            yield "" if place else "checks", line
    if version.tags:
        yield "tags", ", ".join(f"{key}={value}" for key, value in sorted(version.tags.items()))
    if text := conversion_text(version, workers=workers):
        yield "formats", text
    yield "onnx", f"{version.onnx.size_bytes:,} bytes"
    yield "sha256", version.onnx.sha256
    yield "created", time_text(version, "create_time")


def _aliases(version: wire.ModelVersion) -> str:
    return f"  {', '.join(sorted(version.aliases))}" if version.aliases else ""


def _figures(version: wire.ModelVersion) -> Rows:
    metrics = version.metrics
    for title, name, unit in (("psnr", "psnr", "dB"), ("ssim", "ssim", "")):
        if f"{name}_model" in metrics:
            digits, after = (2, " dB") if unit else (4, "")
            slow = metrics.get(f"{name}_prototype")
            more = "" if slow is None else f"prototype {slow:.{digits}f}{after}"
            yield title, _figure(f"{metrics[f'{name}_model']:.{digits}f}{after}", more)
    if "macs_per_pixel" in metrics:
        ratio = metrics.get("mac_ratio")
        more = f"1/{ratio:.3g} of the prototype's" if ratio else ""
        yield "arithmetic", _figure(f"{number(metrics['macs_per_pixel'])} MAC/px", more)
    if "seconds_per_megapixel_model" in metrics:
        ratio = metrics.get("latency_ratio")
        more = f"{ratio:.3g}× faster than the prototype" if ratio else ""
        yield "time", _figure(f"{number(metrics['seconds_per_megapixel_model'] * 1e3)} ms/MP", more)
    for name, value in sorted(metrics.items()):
        if name not in _NAMED and f"{name}_model" not in metrics:
            yield name, number(value)


def conversion_text(version: wire.ModelVersion, *, workers: bool) -> Text:
    """Whether the edge formats are still to come, or can't be made; empty once they are there."""
    match version.conversion_state:
        case wire.CONVERSION_STATE_RUNNING if not workers:
            return Text("not made yet, as no worker runs here: 'autoisp up' starts some", style="yellow")
        case wire.CONVERSION_STATE_RUNNING:
            return Text("a worker makes the edge formats; look again in a minute", style="yellow")
        case wire.CONVERSION_STATE_FAILED:
            failure = version.conversion_failure
            return Text.assemble(("not made: ", "bold red"), failure.message or failure.reason or "no reason")
        case _:
            return Text()


def _figure(text: str, more: str) -> Text:
    return Text.assemble((text, "bold"), (f"  {more}" if more else "", "dim"))


def formats_table(version: wire.ModelVersion) -> Table:
    """What devices can run, what each form loses, and which of the known devices run it whole."""
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("FORMAT", no_wrap=True)
    for name in ("KB", "PSNR", "LOSS", "IN SHADOWS", "MS/MP"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("DEVICES", overflow="fold")
    for form in version.formats:
        if not form.HasField("artifact"):
            continue
        quality = form.quality.psnr_db if form.HasField("quality") else None
        table.add_row(
            Text(form.format),
            f"{form.artifact.size_bytes / 1e3:,.1f}",
            f"{quality:.2f}" if quality else "–",
            _loss(form.psnr_loss_db if form.HasField("psnr_loss_db") else None),
            _loss(form.shadow_loss_db if form.HasField("shadow_loss_db") else None),
            number(form.cost.seconds_per_megapixel * 1e3 or None),
            _devices(form),
        )
    return table


def unmade_formats(version: wire.ModelVersion) -> list[Text]:
    """Why there is no such form, one line each."""
    return [
        Text.assemble((f"no {form.format}: ", "yellow"), form.failure.message or form.failure.reason)
        for form in version.formats
        if not form.HasField("artifact")
    ]


def _loss(decibels: float | None) -> Text:
    if decibels is None:
        return Text("–")
    style = "red" if decibels >= 1 else "yellow" if decibels >= 0.2 else "green"
    return Text(f"{decibels:.2f} dB", style=style)


def _devices(form: wire.EdgeFormat) -> Text:
    text = Text()
    for supported, mark, style in ((True, "✓", "green"), (False, "✗", "red")):
        names = [lint.device for lint in form.lints if lint.supported is supported]
        if names:
            text.append("\n" if text else "").append(f"{mark} ", style=style).append(", ".join(names))
    return text
