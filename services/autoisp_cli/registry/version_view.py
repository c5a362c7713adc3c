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


def version_rows(version: wire.ModelVersion) -> Rows:
    """Name and value pairs, the figures before everything else."""
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
    yield "onnx", f"{version.onnx.size_bytes:,} bytes, sha256 {version.onnx.sha256}"
    yield "created", time_text(version, "create_time")


def _aliases(version: wire.ModelVersion) -> str:
    return f"  {', '.join(sorted(version.aliases))}" if version.aliases else ""


def _figures(version: wire.ModelVersion) -> Rows:
    metrics = version.metrics
    for title, name, unit in (("psnr", "psnr", "dB"), ("ssim", "ssim", "")):
        if f"{name}_model" in metrics:
            text = Text(_joined(f"{metrics[f'{name}_model']:.{2 if unit else 4}f}", unit), style="bold")
            if f"{name}_prototype" in metrics:
                slow = f"{metrics[f'{name}_prototype']:.{2 if unit else 4}f}"
                text.append(f"  prototype {_joined(slow, unit)}", style="dim")
            yield title, text
    if "macs_per_pixel" in metrics:
        text = Text(f"{number(metrics['macs_per_pixel'])} MAC/px", style="bold")
        if "mac_ratio" in metrics:
            text.append(f"  1/{metrics['mac_ratio']:.3g} of the prototype's", style="dim")
        yield "arithmetic", text
    if "seconds_per_megapixel_model" in metrics:
        text = Text(f"{number(metrics['seconds_per_megapixel_model'] * 1e3)} ms/MP", style="bold")
        if "latency_ratio" in metrics:
            text.append(f"  {metrics['latency_ratio']:.3g}× faster than the prototype", style="dim")
        yield "time", text
    for name, value in sorted(metrics.items()):
        if name not in _NAMED:
            yield name, number(value)


def _joined(text: str, unit: str) -> str:
    return f"{text} {unit}" if unit else text


def formats_table(version: wire.ModelVersion) -> Table:
    """What devices can run, what each form loses, and which of the known devices run it whole."""
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("FORMAT", no_wrap=True)
    for name in ("KB", "PSNR", "LOSS", "IN SHADOWS", "MS/MP"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("DEVICES", overflow="fold")
    for form in version.formats:
        if not form.HasField("artifact"):
            table.add_row(
                Text(form.format, style="dim"), *[""] * 5, Text(f"✗ {form.failure.message}", style="yellow")
            )
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


def _loss(decibels: float | None) -> Text:
    if decibels is None:
        return Text("–")
    style = "red" if decibels >= 1 else "yellow" if decibels >= 0.2 else "green"
    return Text(f"{decibels:.2f} dB", style=style)


def _devices(form: wire.EdgeFormat) -> Text:
    text = Text()
    for place, lint in enumerate(form.lints):
        text.append(" " if place else "")
        text.append("✓" if lint.supported else "✗", style="green" if lint.supported else "red")
        text.append(f" {lint.device}")
    return text
