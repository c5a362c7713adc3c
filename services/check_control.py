"""Run while the control image is built: each module of the services imports, none of the pixels is there."""

import importlib
import importlib.util
import pkgutil

SERVICES = ("autoisp_ingest", "autoisp_search", "autoisp_evaluation", "autoisp_registry")
OF_THE_COMPUTE_IMAGE = ("torch", "cv2", "kornia", "onnxruntime", "torchmetrics")

present = [name for name in OF_THE_COMPUTE_IMAGE if importlib.util.find_spec(name)]
if present:
    raise SystemExit(f"the control image has {', '.join(present)}: who needs it belongs in the compute image")
for root in ("autoisp_runtime", *SERVICES):
    package = importlib.import_module(root)
    for module in pkgutil.walk_packages(package.__path__, f"{root}."):
        importlib.import_module(module.name)
print(f"all modules of {', '.join(SERVICES)} import without {', '.join(OF_THE_COMPUTE_IMAGE)}")
