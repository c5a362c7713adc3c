"""Run while the control image is built: each module of the services imports, none of the pixels is there."""

import importlib
import importlib.util
import pkgutil

SERVICES = ("autoisp_ingest", "autoisp_search", "autoisp_evaluation", "autoisp_registry")
# Imported only where the environment asks for traces.
TRACES = ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.sdk.trace.export")
OF_THE_COMPUTE_IMAGE = ("torch", "cv2", "kornia", "onnxruntime", "torchmetrics")

present = [name for name in OF_THE_COMPUTE_IMAGE if importlib.util.find_spec(name)]
if present:
    raise SystemExit(f"the control image has {', '.join(present)}: who needs it belongs in the compute image")
for root in ("autoisp_runtime", *SERVICES):
    package = importlib.import_module(root)
    for module in pkgutil.walk_packages(package.__path__, f"{root}."):
        importlib.import_module(module.name)
for name in TRACES:
    importlib.import_module(name)
print(f"all modules of {', '.join(SERVICES)} import without {', '.join(OF_THE_COMPUTE_IMAGE)}")
