"""Signed manifests of versions, as artifacts."""

from __future__ import annotations

from autoisp_core.artifact import Artifact
from autoisp_core.release import Manifest, ManifestLineage, ReleaseFile, file_name, media_type_of
from autoisp_core.release.ed25519 import PrivateKey
from autoisp_core.release.envelope import ENVELOPE_MEDIA_TYPE

from autoisp_registry.domain import ONNX_FP32, ModelVersion
from autoisp_registry.ports import Artifacts


class ManifestSigner:
    """See :class:`autoisp_registry.ports.Signer`.

    Args:
        key: signs.
        artifacts: keeps the envelopes.
    """

    def __init__(self, key: PrivateKey, artifacts: Artifacts) -> None:
        self._key = key
        self._artifacts = artifacts

    async def sign(self, version: ModelVersion) -> Artifact:
        """Sign all files that the version has now; the same files give the same artifact."""
        return await self._artifacts.put_bytes(
            self._key.sign(manifest_of(version)).to_json(), ENVELOPE_MEDIA_TYPE
        )


def manifest_of(version: ModelVersion) -> Manifest:
    """What a version is: the registered file, every format that was made of it, where it came from."""
    content, lineage = version.content, version.content.lineage
    files = {ONNX_FP32: content.onnx}
    files |= {one.format: one.artifact for one in version.formats if one.artifact is not None}
    newest = version.evidence[-1] if version.evidence else None
    return Manifest(
        version.model,
        version.number,
        version.create_time,
        tuple(
            ReleaseFile(
                format, file_name(format), file.sha256, file.size_bytes, media_type_of(file.media_type)
            )
            for format, file in sorted(files.items())
        ),
        ManifestLineage(
            dataset=lineage.dataset,
            dataset_manifest_sha256=lineage.manifest.sha256 if lineage.manifest else "",
            search=lineage.search,
            trial=lineage.trial,
            evaluation=newest.evaluation if newest else lineage.evaluation,
            evidence_sha256=newest.record.sha256 if newest else "",
        ),
    )
