"""Pods without a cluster: their secrets, variables and commands, as the manifests say."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml
from manifests import ROOT, Manifest, environment, kubectl, pod_spec

GUIDE = ROOT / "docs" / "guides" / "kubernetes.md"
_PRELUDE = """
set -e
autoisp() { "$PYTHON" -m autoisp_cli "$@"; }
python() { "$PYTHON" "$@"; }
kubectl() { "$KUBECTL" "$@" --dry-run=client --output=yaml >> secrets.yaml; echo --- >> secrets.yaml; }
"""


def secrets_of_the_guide(folder: Path) -> dict[str, dict[str, bytes]]:
    """What its commands make in ``folder``, which has ``server.crt`` and ``server.key``; nobody is asked."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    making = [block for block in blocks if "create secret" in block and "kubectl apply" not in block]
    known = {"PYTHON": sys.executable, "KUBECTL": str(kubectl()), "KUBECONFIG": os.devnull}
    script = _PRELUDE + "\n".join(making)
    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=os.environ | known,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return {
        secret["metadata"]["name"]: {key: base64.b64decode(value) for key, value in secret["data"].items()}
        for secret in yaml.safe_load_all((folder / "secrets.yaml").read_text())
        if secret
    }


class MountedSecret:
    """A folder as kubelet lays it out: links to the files' links' folder, which is exchanged all at once."""

    def __init__(self, folder: Path, data: Mapping[str, bytes]) -> None:
        self._folder, self._version = folder, 0
        folder.mkdir(parents=True)
        self.follow(data)
        for key in data:
            (folder / key).symlink_to(Path("..data") / key)

    def follow(self, data: Mapping[str, bytes]) -> None:
        """The secret has changed."""
        self._version += 1
        real = self._folder / f"..{self._version}"
        real.mkdir()
        for key, value in data.items():
            (real / key).write_bytes(value)
        (self._folder / "..new").symlink_to(real.name)
        (self._folder / "..new").replace(self._folder / "..data")


class Pod:
    """A process of AutoISP as its workload says, in ``root`` instead of a file system of its own.

    Args:
        changed: variables that are of the test's machine.
    """

    def __init__(
        self,
        overlay: list[Manifest],
        workload: Manifest,
        secrets: Mapping[str, Mapping[str, bytes]],
        root: Path,
        **changed: str,
    ) -> None:
        [self.container] = pod_spec(workload)["containers"]
        self._log = root / "log"
        state = root / "state"
        state.mkdir(parents=True)
        sources = {volume["name"]: volume.get("secret") for volume in pod_spec(workload)["volumes"]}
        self.mounted = {
            mount["name"]: MountedSecret(Path(f"{root}{mount['mountPath']}"), secrets[source["secretName"]])
            for mount in self.container["volumeMounts"]
            if (source := sources[mount["name"]])
        }
        told = {
            name: f"{root}{value}" if value.startswith("/etc/") else value
            for name, value in environment(overlay, self.container).items()
            if value is not None
        }
        told |= {"AUTOISP_STATE_DIR": str(state), "AUTOISP_STORE_URL": (state / "store").as_uri()}
        told |= {f"AUTOISP_{name.upper()}": value for name, value in changed.items()}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AUTOISP_")}
        self._environment = kept | told

    @property
    def log(self) -> str:
        """What it said."""
        return self._log.read_text()

    def exec(self, command: list[str]) -> int:
        """As `kubectl exec`, and as a probe; its exit code."""
        with self._log.open("ab") as log:
            ran = subprocess.run(
                _real(command), env=self._environment, stdout=log, stderr=log, timeout=60, check=False
            )
        return ran.returncode

    def probe(self, name: str) -> int:
        """The exit code of this probe's command."""
        return self.exec(self.container[name]["exec"]["command"])

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """While its command runs."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                _real(self.container["command"]), env=self._environment, stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def _real(command: list[str]) -> list[str]:
    assert command[0] == "python"
    return [sys.executable, *command[1:]]
