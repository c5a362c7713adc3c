"""What users of AutoISP's services import: a typed client, blocking or asyncio, over the published protos.

from autoisp_client import Client

with Client(".autoisp/endpoints.json") as client:
    clip = client.upload_clip("bikes.mp4")
"""

from autoisp_client.access import Tls
from autoisp_client.aio import AsyncClient
from autoisp_client.client import Client
from autoisp_client.download import DownloadProgress
from autoisp_client.endpoints import Endpoints
from autoisp_client.evaluated import EvaluatedFrame
from autoisp_client.requests import evaluation_ended, search_ended
from autoisp_client.uploading import UploadProgress

__all__ = [
    "AsyncClient",
    "Client",
    "DownloadProgress",
    "Endpoints",
    "EvaluatedFrame",
    "Tls",
    "UploadProgress",
    "evaluation_ended",
    "search_ended",
]
