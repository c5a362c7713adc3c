"""Which methods callers of one project may use: those whose requests and answers have been looked at for it.

Not here, on purpose: ListClips, DeleteClip (clips belong to nobody), ImportClip (reads the server's own
folders) and VerifyAuditLog (of everybody).
"""

from __future__ import annotations

_FIT = {
    "ingest.v1.IngestService": "UploadClip GetUpload IngestFrames ReadFrames GetClip "
    "CreateDataset GetDataset ListDatasets DeleteDataset",
    "ingest.v1.SensorProfileService": "CreateSensorProfileVersion GetSensorProfileVersion "
    "ListSensorProfileVersions DeleteSensorProfile",
    "search.v1.SearchService": "ValidateSearch CreateSearch GetSearch ListSearches CancelSearch WatchSearch "
    "GetTrial ListTrials",
    "evaluation.v1.EvaluationService": "CreateEvaluation GetEvaluation ListEvaluations WatchEvaluation "
    "CancelEvaluation CompareSubjects CheckGate",
    "evaluation.v1.LiveEvaluationService": "EvaluateStream",
    "registry.v1.RegistryService": "GetModel ListModels UpdateModel DeleteModel UndeleteModel "
    "RegisterModelVersion GetModelVersion ListModelVersions UpdateModelVersion DeleteModelVersion "
    "UndeleteModelVersion SetAlias DeleteAlias Promote Rollback ListAuditEntries WatchModels GetLineage "
    "GetModelCard ConvertModelVersion ListSigningKeys UploadArtifact DownloadArtifact",
    "registry.v1.RolloutService": "CreateChannel GetChannel ListChannels DeleteChannel StartRollout "
    "UpdateRollout PauseRollout ResumeRollout CompleteRollout AbortRollout RollbackChannel ResolveModel "
    "BatchResolveModels ReportOutcome",
}
FOR_PROJECTS = frozenset(
    f"/autoisp.{service}/{method}" for service, methods in _FIT.items() for method in methods.split()
)
