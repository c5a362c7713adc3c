"""Lineage and model cards: what is known, what is missing, and nobody's text as markup."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from autoisp.ingest.v1 import ingest_pb2
from autoisp.registry.v1 import registry_pb2
from autoisp_core.artifact import Artifact
from autoisp_core.errors import DataLossError, NotFoundError, UnavailableError
from autoisp_core.noise import Noise
from autoisp_registry.card.markdown import escaped, number
from autoisp_registry.domain import (
    Content,
    DeviceLint,
    EdgeFormat,
    Evidence,
    Failure,
    GateResult,
    Lineage,
    LintFinding,
    ModelVersion,
    Prototype,
    Quality,
    Sensor,
    Severity,
)
from autoisp_registry.lineage import Footage, Judgement, Kind, LineageGraph, Node
from autoisp_registry.lineage.stored import StoredOrigins
from autoisp_registry.lineage.wire import graph_to
from autoisp_registry.usecases.describing import Describing
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.async_artifacts import AsyncArtifactStore
from judged_evaluation import make_judged
from markdown_it import MarkdownIt
from registry_fakes import NOW, World, artifact

MANIFEST, RECORD, INT8, SIGNED = artifact(20), artifact(21), artifact(22), artifact(23)
NAME = "models/m/versions/1"
FOOTAGE = (
    Footage("clips/a", "carphone", "training", 0, 50, "a" * 64),
    Footage("clips/a", "carphone", "validation", 50, 60, "a" * 64),
    Footage("clips/b", "bikes", "test", 0, 30, "b" * 64),
)
LINT = DeviceLint(
    "phone-npu-10",
    False,
    (LintFinding("RUNTIME_WEIGHTS", Severity.ERROR, "Weights are computed.", "Fold them."),),
)
EVIDENCE = Evidence("evaluations/e", "model", RECORD, NOW)


@dataclass
class FakeOrigins:
    """What references lead to; anything else is gone."""

    judgement_of: dict[str, Judgement] = field(default_factory=dict)
    footage_of: dict[str, Sequence[Footage]] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    away: bool = False

    async def footage(self, manifest: Artifact) -> Sequence[Footage]:
        if manifest.sha256 not in self.footage_of:
            raise NotFoundError(manifest.uri, "the manifest is gone")
        return self.footage_of[manifest.sha256]

    async def judgement(self, record: Artifact) -> Judgement:
        if record.sha256 not in self.judgement_of:
            raise DataLossError("the record is damaged")
        return self.judgement_of[record.sha256]

    async def present(self, artifact: Artifact) -> bool:
        if self.away:
            raise UnavailableError("the artifact store is away")
        return artifact.sha256 not in self.absent


def full_version() -> ModelVersion:
    lineage = Lineage(
        "datasets/d",
        "searches/s",
        "searches/s/trials/t",
        "evaluations/e",
        Prototype("classical"),
        MANIFEST,
    )
    content = Content(
        artifact(1),
        {"psnr_model": 31.0},
        lineage,
        '{"width": 16}',
        GateResult(True, ("psnr at least 30 dB: 31.00",)),
        sensor=Sensor("phone", test_noise=Noise(0.01, 0.001)),
    )
    formats = (
        EdgeFormat("onnx-fp32", artifact(1), quality=Quality(31.0, 0.9), lints=(LINT,)),
        EdgeFormat(
            "onnx-int8", INT8, quality=Quality(30.5, 0.9), psnr_loss_db=0.5, note="16 bits in 2 places"
        ),
        EdgeFormat("executorch-xnnpack", failure=Failure("NOT_INSTALLED", "install the extra executorch")),
    )
    return ModelVersion(
        "models/m", 1, content, NOW, evidence=(EVIDENCE,), formats=formats, signed_manifest=SIGNED
    )


async def described(version: ModelVersion, origins: FakeOrigins) -> Describing:
    world = World()
    async with world.store.transaction() as transaction:
        model = (await transaction.lock(version.model, NOW)).with_version(NOW)
        await transaction.add_version(version, None)
        await transaction.save(model.with_alias("champion", 1, NOW))
    return Describing(world.models, origins)


async def judgement(tmp_path_factory: pytest.TempPathFactory) -> Judgement:
    store = AsyncArtifactStore(ArtifactStore(tmp_path_factory.mktemp("store").as_uri()))
    message = make_judged(clips=("carphone", "bikes"), failed=("bikes",)).evaluation
    return await StoredOrigins(store).judgement(await store.put_bytes(message.SerializeToString()))


@pytest.fixture
async def origins(tmp_path_factory: pytest.TempPathFactory) -> FakeOrigins:
    return FakeOrigins({RECORD.sha256: await judgement(tmp_path_factory)}, {MANIFEST.sha256: FOOTAGE})


def node(graph: LineageGraph, node_id: str) -> Node:
    (found,) = [node for node in graph.nodes if node.id == node_id]
    return found


async def test_the_graph_leads_from_footage_to_files(origins: FakeOrigins) -> None:
    graph = await (await described(full_version(), origins)).lineage("models/m/versions/champion")
    way = [
        f"sha256:{'a' * 64}",
        "datasets/d",
        "searches/s",
        "searches/s/trials/t",
        "evaluations/e",
        NAME,
        f"sha256:{INT8.sha256}",
    ]
    edges = {(edge.source, edge.target) for edge in graph.edges}
    assert set(pairwise(way)) <= edges
    assert ("builtin:classical", "searches/s") in edges
    carphone = node(graph, way[0])
    assert (carphone.kind, carphone.label) == (Kind.FOOTAGE, "carphone")
    assert carphone.details["split"] == "training, validation"
    assert carphone.details["frames"] == "0 to 49, 50 to 59"
    assert node(graph, "datasets/d").details["clips"] == "2"
    assert node(graph, "evaluations/e").details["gate"] == "passed"
    assert node(graph, f"{NAME}/formats/executorch-xnnpack").details["missing"].startswith("install")
    assert acyclic(graph)
    message = graph_to(graph)
    assert len(message.nodes) == len(graph.nodes)
    assert message.nodes[0].kind != registry_pb2.LineageGraph.KIND_UNSPECIFIED


def acyclic(graph: LineageGraph) -> bool:
    left = set(graph.edges)
    nodes = {node.id for node in graph.nodes}
    assert {end for edge in left for end in (edge.source, edge.target)} <= nodes
    while nodes:
        free = {one for one in nodes if not any(edge.target == one for edge in left)}
        if not free:
            return False
        nodes -= free
        left = {edge for edge in left if edge.source not in free}
    return True


async def test_what_is_missing_is_a_node_that_says_so() -> None:
    origins = FakeOrigins(absent={artifact(1).sha256, INT8.sha256})
    describing = await described(full_version(), origins)
    graph = await describing.lineage(NAME)
    assert node(graph, "datasets/d").details["missing"] == "the manifest is gone"
    assert node(graph, "evaluations/e").details["missing"] == "the record is damaged"
    assert "not in the artifact store" in node(graph, f"sha256:{INT8.sha256}").details["missing"]
    _, card = await describing.card(NAME)
    assert "the manifest is gone" in card


async def test_of_a_network_made_elsewhere_there_is_only_itself() -> None:
    version = ModelVersion("models/m", 1, Content(artifact(1)), NOW)
    describing = await described(version, FakeOrigins())
    graph = await describing.lineage(NAME)
    assert [one.kind for one in graph.nodes] == [Kind.MODEL_VERSION, Kind.ARTIFACT]
    _, card = await describing.card(NAME)
    assert "Sensor: not known" in card
    assert "Not measured" in card


async def test_the_same_bytes_as_prototype_and_file_make_no_circle() -> None:
    content = Content(
        artifact(1), lineage=Lineage(search="searches/s", prototype=Prototype(onnx=artifact(1)))
    )
    graph = await (await described(ModelVersion("models/m", 1, content, NOW), FakeOrigins())).lineage(NAME)
    assert acyclic(graph)


async def test_a_store_that_is_away_is_an_error_and_not_missing_bytes() -> None:
    with pytest.raises(UnavailableError):
        await (await described(full_version(), FakeOrigins(away=True))).lineage(NAME)


async def test_the_card_has_every_figure(origins: FakeOrigins) -> None:
    name, card = await (await described(full_version(), origins)).card("models/m/versions/latest")
    assert name == NAME
    headings = [line.removeprefix("## ") for line in card.splitlines() if line.startswith("## ")]
    assert headings == [
        "Intended use",
        "Quality",
        "Cost",
        "Edge formats",
        "Phone accelerators",
        "Clips and limits",
        "Training data",
        "Gate",
        "Where it came from",
        "Files",
    ]
    total = origins.judgement_of[RECORD.sha256].total("model")
    assert total is not None
    for result in total.metrics:
        name = result.metric.replace("_", r"\_")
        (row,) = [line for line in card.splitlines() if re.match(rf"\| {re.escape(name)}( \(|  ?\|)", line)]
        assert "better" in row
    for said in (
        "replaces the prototype classical",
        "Sensor: phone; tested with shot noise 0.01",
        "16 bits in 2 places",
        "install the extra executorch",
        "does not run",
        "RUNTIME\\_WEIGHTS",
        "bikes could not be judged: model gave a NaN",
        "It does worst on carphone",
        "| carphone | training | 0 to 49 |",
        "psnr at least 30 dB",
        SIGNED.sha256,
        INT8.sha256,
        "flowchart LR",
        "139 ×",
    ):
        assert said in card, said


NASTY = (
    "<script>alert(1)</script> | `x` **bold** [link](http://x) ![i](y)\n\n# heading\n\n- item\n"
    "```\ncode & _em_ ~~s~~"
)


async def test_what_people_wrote_is_text(origins: FakeOrigins) -> None:
    failure = Failure("X", NASTY)
    version = replace(
        full_version(),
        description=NASTY,
        tags={NASTY: NASTY},
        formats=(EdgeFormat(NASTY, INT8, note=NASTY), EdgeFormat("f", failure=failure)),
    )
    origins.footage_of[MANIFEST.sha256] = [replace(FOOTAGE[0], display_name=NASTY)]
    _, card = await (await described(version, origins)).card(NAME)
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(card)
    kinds = {token.type for token in tokens}
    inline = {child.type for token in tokens for child in token.children or ()}
    assert not {"html_block", "html_inline"} & (kinds | inline)
    assert not {"link_open", "image", "em_open", "s_open"} & inline
    assert [token.tag for token in tokens if token.type == "heading_open"].count("h1") == 1
    assert sum(token.type == "fence" for token in tokens) == 1
    # Every row of a table has the cells of its head.
    for line in ("table_open", "thead_open"):
        assert line in kinds
    text = "".join(
        child.content for token in tokens for child in token.children or () if child.type == "text"
    )
    assert "<script>alert(1)</script> | `x` **bold** [link](http://x)" in text


def test_figures_without_bounds_are_shown() -> None:
    assert [number(value) for value in (math.inf, -math.inf, math.nan, None)] == ["∞", "-∞", "–", "–"]


@pytest.mark.parametrize("text", ["1. one", "100) hundred", "123456789. many", "- x", "+ x", "# x", "=== x"])
def test_nothing_begins_with_what_people_wrote(text: str) -> None:
    tokens = MarkdownIt("commonmark").parse(escaped(text))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]


async def test_manifests_are_read_from_the_store(tmp_path_factory: pytest.TempPathFactory) -> None:
    store = AsyncArtifactStore(ArtifactStore(tmp_path_factory.mktemp("store").as_uri()))
    message = ingest_pb2.DatasetManifest(dataset="datasets/d")
    for place in range(300):
        entry = message.entries.add(split=ingest_pb2.SPLIT_TEST, first_frame=0, end_frame=place + 1)
        entry.clip.name, entry.clip.source_sha256 = f"clips/c{place}", f"{place:064x}"
    manifest = await store.put_bytes(message.SerializeToString())
    origins = StoredOrigins(store)
    footage = await origins.footage(manifest)
    assert len(footage) == 300
    assert footage[7] == Footage("clips/c7", "", "test", 0, 8, f"{7:064x}")
    junk = await store.put_bytes(b"\xff\xff\xff no message")
    for read in (origins.footage, origins.judgement):
        with pytest.raises(DataLossError):
            await read(junk)
        with pytest.raises(NotFoundError):
            await read(artifact(99))
    version = replace(full_version(), evidence=(), formats=())
    lineage = replace(version.content.lineage, manifest=manifest)
    version = replace(version, content=replace(version.content, lineage=lineage))
    describing = await described(version, FakeOrigins(footage_of={manifest.sha256: footage}))
    graph = await describing.lineage(NAME)
    assert sum(one.kind is Kind.FOOTAGE for one in graph.nodes) == 300
    assert "300 clips of footage" in (await describing.card(NAME))[1]
