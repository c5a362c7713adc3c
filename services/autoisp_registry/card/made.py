"""What a version is, what it was made of, and what was made of it."""

from __future__ import annotations

from collections import Counter

from autoisp_registry.card.diagram import diagram
from autoisp_registry.card.markdown import code, escaped, number, paragraphs, size, table
from autoisp_registry.domain import ONNX_FP32, EdgeFormat, Severity
from autoisp_registry.lineage import Provenance, trace

_MAX_ROWS = 500


def title(provenance: Provenance) -> str:
    """Name, standing and description."""
    model, version = provenance.model, provenance.version
    facts = [f"`{version.name}`", f"registered {version.create_time:%Y-%m-%d %H:%M} UTC"]
    if version.aliases:
        facts.append(f"{', '.join(version.aliases)} of its model")
    if version.content.gate is not None:
        facts.append("gate passed" if version.content.gate.passed else "gate failed")
    if version.deleted:
        facts.append("**deleted**")
    tags = [f"{escaped(key)}: {escaped(value)}" for key, value in {**model.tags, **version.tags}.items()]
    parts = [
        f"# {escaped(model.display_name or model.name)}, version {version.number}",
        " · ".join(facts),
        paragraphs(model.description),
        paragraphs(version.description),
        f"Tags: {'; '.join(tags)}" if tags else "",
    ]
    return "\n\n".join(part for part in parts if part)


def intended_use(provenance: Provenance) -> str:
    """For which sensor, and instead of what."""
    content = provenance.version.content
    sensor, prototype = content.sensor, content.lineage.prototype
    lines = ["A pixel-level network: raw camera frames in, pictures out. It is exported as ONNX."]
    if sensor is None:
        lines.append("- Sensor: not known.")
    else:
        name = escaped(sensor.builtin) if sensor.builtin else "a profile of its own"
        noise = sensor.test_noise
        tested = f"; tested with shot noise {noise.shot:g} and read noise {noise.read:g}" if noise else ""
        lines.append(f"- Sensor: {name}{tested}. It is not meant for raw from other sensors.")
    if prototype is None:
        lines.append("- Prototype: not known.")
    elif prototype.onnx is not None:
        lines.append(f"- It replaces the prototype in the ONNX file `{prototype.onnx.sha256}`.")
    else:
        lines.append(f"- It replaces the prototype {escaped(prototype.builtin)}, which ships with AutoISP.")
    head, *facts = lines
    return f"## Intended use\n\n{head}\n\n" + "\n".join(facts)


def formats(provenance: Provenance) -> str:
    """Forms for devices, and what each loses."""
    made = provenance.version.formats
    if not made:
        return ""
    head = ["Format", "Size", "PSNR, dB", "PSNR lost, dB", "Lost in shadows, dB", "s per megapixel", "Note"]
    rows = [_format_row(one) for one in made]
    return f"## Edge formats\n\n{table(head, rows, (0, 6))}"


def accelerators(provenance: Provenance) -> str:
    """What the operator lint says of each format and device."""
    rows, findings = [], []
    for one in provenance.version.formats:
        for lint in one.lints:
            errors = sum(finding.severity is Severity.ERROR for finding in lint.findings)
            warnings = len(lint.findings) - errors
            verdict = "runs" if lint.supported else "does not run"
            rows.append([escaped(one.format), escaped(lint.device), verdict, str(errors), str(warnings)])
            findings += [
                f"- {escaped(one.format)} on {escaped(lint.device)}, {escaped(finding.rule)}: "
                f"{escaped(finding.reason)} {escaped(finding.fix)}"
                for finding in lint.findings
            ]
    if not rows:
        return ""
    head = ["Format", "Device", "Whole graph on its accelerator", "Errors", "Warnings"]
    shown = "\n".join(findings[:50])
    return f"## Phone accelerators\n\n{table(head, rows, (0, 1, 2))}\n\n{shown}".rstrip()


def training_data(provenance: Provenance) -> str:
    """The footage, clip by clip."""
    lineage, footage = provenance.version.content.lineage, provenance.footage
    if isinstance(footage, str):
        known = f"Dataset {escaped(lineage.dataset)}: " if lineage.dataset else "Not known: "
        return f"## Training data\n\n{known}{escaped(footage)}."
    head = ["Clip", "Split", "Frames", "Footage, SHA-256"]
    rows = [
        [
            escaped(part.display_name or part.clip),
            part.split,
            f"{part.first_frame} to {part.end_frame - 1}",
            f"`{part.source_sha256[:16]}…`" if part.source_sha256 else "–",
        ]
        for part in footage
    ]
    more = f"\n\n{len(rows) - _MAX_ROWS} more are in the manifest." if len(rows) > _MAX_ROWS else ""
    counted = Counter(part.split for part in footage)
    splits = ", ".join(f"{count} for {split}" for split, count in counted.items())
    intro = f"{escaped(lineage.dataset) or 'A dataset'}: {splits}. No clip for testing serves anything else."
    return f"## Training data\n\n{intro}\n\n{table(head, rows[:_MAX_ROWS], (0, 1, 2, 3))}{more}"


def origin(provenance: Provenance) -> str:
    """The lineage as a picture."""
    return f"## Where it came from\n\n```mermaid\n{diagram(trace(provenance))}\n```"


def files(provenance: Provenance) -> str:
    """Digests of all files, and how to check them."""
    version = provenance.version
    onnx = version.content.onnx
    made = [(one.format, one.artifact) for one in version.formats if one.artifact is not None]
    if not any(name == ONNX_FP32 for name, _ in made):
        made.insert(0, (ONNX_FP32, onnx))
    rows = [[escaped(name), size(file.size_bytes), f"`{file.sha256}`"] for name, file in made]
    text = "No signed manifest was made of these files."
    if (manifest := version.signed_manifest) is not None:
        text = f"They are listed in a signed manifest with the SHA-256 `{manifest.sha256}`."
    spec = version.content.spec
    architecture = f"\n\nArchitecture: {code(spec)}" if 0 < len(spec) <= 2_000 else ""
    return f"## Files\n\n{table(['File', 'Size', 'SHA-256'], rows, (0, 2))}\n\n{text}{architecture}"


def _format_row(one: EdgeFormat) -> list[str]:
    if one.artifact is None:
        why = escaped(one.failure.message) if one.failure else "it was not made"
        return [escaped(one.format), *["–"] * 5, f"Not made: {why}"]
    cost = one.cost.seconds_per_megapixel if one.cost else None
    return [
        escaped(one.format),
        size(one.artifact.size_bytes),
        f"{one.quality.psnr_db:.2f}" if one.quality else "–",
        f"{one.psnr_loss_db:.2f}" if one.psnr_loss_db is not None else "–",
        f"{one.shadow_loss_db:.2f}" if one.shadow_loss_db is not None else "–",
        number(cost),
        escaped(one.note) or " ",
    ]
