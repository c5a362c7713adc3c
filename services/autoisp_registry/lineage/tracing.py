"""From what is known of a version to its graph."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

from autoisp_core.artifact import Artifact

from autoisp_registry.domain import ONNX_FP32, EdgeFormat, Evidence, Prototype
from autoisp_registry.lineage.graph import MISSING, GraphBuilder, Kind, LineageGraph, Node
from autoisp_registry.lineage.provenance import Footage, Judgement, Provenance


def trace(provenance: Provenance) -> LineageGraph:
    """The graph of a version: footage, dataset, prototype, search, trial, evaluations, it, and its files.

    What is referred to but not there is a node with the detail ``missing``.
    """
    return _Tracer(provenance).graph()


class _Tracer:
    def __init__(self, provenance: Provenance) -> None:
        self._provenance = provenance
        self._version = provenance.version
        self._lineage = provenance.version.content.lineage
        self._builder = GraphBuilder()

    def graph(self) -> LineageGraph:
        builder, lineage = self._builder, self._lineage
        dataset = self._dataset()
        prototype = self._prototype(lineage.prototype)
        search = builder.add(_named(lineage.search, Kind.SEARCH)) if lineage.search else ""
        trial = builder.add(_named(lineage.trial, Kind.TRIAL)) if lineage.trial else ""
        version = builder.add(self._version_node())
        builder.link(dataset, search or trial or version, "trained")
        builder.link(prototype, search or trial or version, "taught")
        builder.link(search, trial or version, "found")
        builder.link(trial, version, "registered")
        for evaluation in self._evaluations(dataset):
            builder.link(trial, evaluation, "judged")
            builder.link(evaluation, version, "judged")
        self._files(version)
        return builder.graph()

    def _dataset(self) -> str:
        lineage, footage = self._lineage, self._provenance.footage
        manifest = lineage.manifest.sha256 if lineage.manifest else ""
        if not lineage.dataset and not manifest:
            return ""
        details: dict[str, str] = {}
        if isinstance(footage, str):
            details[MISSING] = footage
        else:
            splits = Counter(part.split for part in footage)
            details["clips"] = str(len({part.clip for part in footage}))
            details |= {split: str(count) for split, count in splits.items()}
        name = lineage.dataset or f"sha256:{manifest}"
        dataset = self._builder.add(Node(name, Kind.DATASET, name, details, manifest))
        if not isinstance(footage, str):
            for _, parts in groupby(sorted(footage, key=_footage_id), key=_footage_id):
                self._builder.link(self._builder.add(_footage_node(list(parts))), dataset, "contains")
        return dataset

    def _prototype(self, prototype: Prototype | None) -> str:
        if prototype is None:
            return ""
        if prototype.onnx is None:
            name = f"builtin:{prototype.builtin}"
            return self._builder.add(Node(name, Kind.PROTOTYPE, prototype.builtin))
        details = {"size_bytes": str(prototype.onnx.size_bytes), **self._absence(prototype.onnx)}
        node = _artifact_node(prototype.onnx, Kind.PROTOTYPE, "prototype (ONNX)", details)
        return self._builder.add(node)

    def _version_node(self) -> Node:
        version, content = self._version, self._version.content
        details = {"create_time": version.create_time.isoformat(timespec="seconds")}
        if version.aliases:
            details["aliases"] = ", ".join(version.aliases)
        if content.gate is not None:
            details["gate"] = "passed" if content.gate.passed else "failed"
        return Node(version.name, Kind.MODEL_VERSION, version.name, details, content.onnx.sha256)

    def _evaluations(self, dataset: str) -> list[str]:
        found = []
        for evidence, judgement in self._provenance.judgements:
            evaluation = self._builder.add(_evaluation_node(evidence, judgement))
            judged_on = judgement.dataset if isinstance(judgement, Judgement) else ""
            if judged_on and judged_on != dataset:
                judged_on = self._builder.add(_named(judged_on, Kind.DATASET))
            self._builder.link(judged_on or dataset, evaluation, "tested")
            found.append(evaluation)
        own = self._lineage.evaluation
        if own and own not in found:
            node = Node(own, Kind.EVALUATION, own, {MISSING: "its record was not kept"})
            found.append(self._builder.add(node))
            self._builder.link(dataset, own, "tested")
        return found

    def _files(self, version: str) -> None:
        onnx = self._version.content.onnx
        details = {"format": ONNX_FP32, "size_bytes": str(onnx.size_bytes), **self._absence(onnx)}
        file = self._builder.add(_artifact_node(onnx, Kind.ARTIFACT, ONNX_FP32, details))
        self._builder.link(version, file, "registered")
        for made in self._version.formats:
            self._builder.link(version, self._builder.add(self._format_node(made)), "converted")
        if (manifest := self._version.signed_manifest) is not None:
            signed = _artifact_node(manifest, Kind.ARTIFACT, "signed manifest", self._absence(manifest))
            self._builder.link(version, self._builder.add(signed), "signed")

    def _format_node(self, made: EdgeFormat) -> Node:
        if made.artifact is None:
            reason = made.failure.message if made.failure else "it was not made"
            name = f"{self._version.name}/formats/{made.format}"
            return Node(name, Kind.ARTIFACT, made.format, {"format": made.format, MISSING: reason})
        details = {"format": made.format, "size_bytes": str(made.artifact.size_bytes)}
        if made.psnr_loss_db is not None:
            details["psnr_loss_db"] = f"{made.psnr_loss_db:.2f}"
        details |= self._absence(made.artifact)
        return _artifact_node(made.artifact, Kind.ARTIFACT, made.format, details)

    def _absence(self, artifact: Artifact) -> dict[str, str]:
        absent = artifact.sha256 in self._provenance.absent
        return {MISSING: "its bytes are not in the artifact store"} if absent else {}


def _named(name: str, kind: Kind) -> Node:
    return Node(name, kind, name)


def _artifact_node(artifact: Artifact, kind: Kind, label: str, details: dict[str, str]) -> Node:
    return Node(f"sha256:{artifact.sha256}", kind, label, details, artifact.sha256)


def _footage_id(part: Footage) -> str:
    return f"sha256:{part.source_sha256}" if part.source_sha256 else part.clip


def _footage_node(parts: list[Footage]) -> Node:
    first = parts[0]
    details = {
        "clip": ", ".join(dict.fromkeys(part.clip for part in parts)),
        "split": ", ".join(dict.fromkeys(part.split for part in parts)),
        "frames": ", ".join(f"{part.first_frame} to {part.end_frame - 1}" for part in parts),
    }
    label = first.display_name or first.clip
    return Node(_footage_id(first), Kind.FOOTAGE, label, details, first.source_sha256)


def _evaluation_node(evidence: Evidence, judgement: Judgement | str) -> Node:
    name, sha256 = evidence.evaluation, evidence.record.sha256
    if isinstance(judgement, str):
        return Node(name, Kind.EVALUATION, name, {MISSING: judgement}, sha256)
    details = {"state": judgement.state.lower(), "split": judgement.split}
    if (total := judgement.total(evidence.label)) is not None:
        details |= {"psnr": f"{total.quality.psnr_db:.2f}", "ssim": f"{total.quality.ssim:.4f}"}
    if judgement.gate_passed is not None:
        details["gate"] = "passed" if judgement.gate_passed else "failed"
    return Node(name, Kind.EVALUATION, name, details, sha256)
