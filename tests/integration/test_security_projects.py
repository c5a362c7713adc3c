"""Tokens of one project, over the real services: what is another's can't be named, made, changed or seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import grpc
import pytest
from autoisp.ingest.v1.ingest_pb2 import SPLIT_TEST, SPLIT_TRAIN, SPLIT_VALIDATION, DatasetClip
from autoisp.registry.v1.registry_pb2 import ListModelsRequest, ModelVersion
from autoisp.registry.v1.rollouts_pb2 import Channel, Rollout
from autoisp.search.v1.search_pb2 import Budget, Search
from autoisp_cli.local import LocalStack
from autoisp_client import Client
from autoisp_client.evaluations import Source
from autoisp_core.errors import AutoISPError, PermissionDeniedError
from autoisp_runtime.security import Scope
from autoisp_runtime.security.project_methods import FOR_PROJECTS
from autoisp_runtime.security.tokens import new_token
from autoisp_testing.graphs import root_of
from autoisp_testing.scenes import moving_scene, write_video
from rpc_fuzz import Caller, Generator, rpcs

pytestmark = pytest.mark.timeout(300)

PROJECTS = ("acme", "zeta")
SHARED = {
    *("ListClips", "DeleteClip", "ImportClip", "VerifyAuditLog"),
    *("GetStatus", "ListDeadLetters", "GetDeadLetter", "ReplayDeadLetter", "DropDeadLetter"),
}
TOML = """name = "bench"
cfa = "RGGB"
black_level = 64
white_level = 1023
ccm = [[1.4, -0.3, -0.1], [-0.2, 1.4, -0.2], [0.0, -0.4, 1.4]]
[gains]
red = 1.8
green = 1.0
blue = 2.1
[noise]
shot_min = 0.0002
shot_max = 0.01
"""


@dataclass
class World:
    """Services with what two projects made, and a token of each and of everybody's admin."""

    stack: LocalStack
    secrets: dict[str, str]

    def client(self, who: str) -> Client:
        """Of a project, or ``admin``."""
        return Client(self.stack.endpoints, patience=0, token=self.secrets[who])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("projects")
    made = {name: new_token(f"{name}'s", Scope.ADMIN, project=name) for name in PROJECTS}
    made["admin"] = new_token("everybody's", Scope.ADMIN)
    (home / "tokens.toml").write_text("\n".join(token.to_toml() for _, token in made.values()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOISP_TOKENS_FILE", str(home / "tokens.toml"))
        with LocalStack(home / "state", workers=0) as stack:
            world = World(stack, {who: secret for who, (secret, _) in made.items()})
            for project in PROJECTS:
                with world.client(project) as client:
                    fill(client, project, home)
            yield world


def fill(client: Client, project: str, home: Path) -> None:
    """One or more of everything that takes no worker."""
    parts = []
    for number, split in enumerate((SPLIT_TRAIN, SPLIT_VALIDATION, SPLIT_TEST)):
        video = home / f"{number}.mp4"
        if not video.exists():
            write_video(video, moving_scene(6, 64, 72, seed=number))
        parts.append(DatasetClip(clip=client.upload_clip(video).name, split=split))
    for number in range(3):
        client.create_dataset(parts, dataset_id=f"{project}-{number}", display_name=f"of {project}-s")
    search = Search(dataset=f"datasets/{project}-0", budget=Budget(reduction=100), seed=1)
    search.prototype.builtin = "classical"
    client.create_search(search, search_id=f"{project}-s")
    onnx = home / f"{project}.onnx"
    onnx.write_bytes(root_of(float(len(project)) + ord(project[0])))
    version = ModelVersion(onnx=client.upload_artifact(onnx))
    for number in range(3):
        client.register_model_version(f"models/{project}-{number}", version)
    client.create_channel(
        Channel(name=f"products/{project}-phone/channels/stable", model=f"models/{project}-0", version=1)
    )
    client.create_sensor_profile_version(f"{project}-sensor", toml=TOML)


def names_seen(client: Client) -> set[str]:
    """Every name in every list."""
    lists: list[Callable[[], Iterator[object]]] = [
        client.list_datasets,
        client.list_searches,
        client.list_models,
        client.list_model_versions,
        client.list_channels,
    ]
    seen = {entry.resource for entry in client.list_audit_entries()}
    for each in lists:
        seen |= {str(item.name) for item in each()}  # type: ignore[attr-defined]
    return seen


@pytest.mark.parametrize("project", PROJECTS)
def test_each_sees_its_own_and_all_of_it(world: World, project: str) -> None:
    with world.client("admin") as admin, world.client(project) as client:
        everything, seen = names_seen(admin), names_seen(client)
    assert {name.split("/")[1].split("-")[0] for name in seen} == {project}
    assert seen == {name for name in everything if name.split("/")[1].startswith(f"{project}-")}
    assert len(seen) >= 3 + 1 + 3 + 3 + 1


def test_what_is_anothers_can_not_be_named(world: World) -> None:
    with world.client("acme") as client:
        clip = next(iter(client.get_dataset("datasets/acme-0").clips)).clip
        search = Search(dataset="datasets/zeta-0", budget=Budget(reduction=100))
        warm = Search(dataset="datasets/acme-0", budget=Budget(reduction=100), warm_start=["searches/zeta-s"])
        model = Search(dataset="datasets/acme-0", budget=Budget(reduction=100), model="models/zeta-0")
        onnx = client.get_model_version("models/acme-0/versions/1").onnx
        attempts: list[Callable[[], object]] = [
            lambda: client.get_dataset("datasets/zeta-0"),
            lambda: client.get_dataset("datasets/there-is-none"),
            lambda: client.delete_dataset("datasets/zeta-0"),
            lambda: client.create_dataset([DatasetClip(clip=clip)], dataset_id="zeta-9"),
            lambda: client.create_dataset([DatasetClip(clip=clip)], dataset_id="acme"),
            lambda: client.create_search(search, search_id="acme-t"),
            lambda: client.create_search(warm, search_id="acme-t"),
            lambda: client.create_search(model, search_id="acme-t"),
            lambda: client.validate_search(search),
            lambda: client.cancel_search("searches/zeta-s"),
            lambda: next(client.watch_search("searches/zeta-s")),
            lambda: client.get_model("models/zeta-0"),
            lambda: client.get_model("models/acmeish-0"),
            lambda: client.get_model_version("models/zeta-0/versions/1"),
            lambda: list(client.list_model_versions("models/zeta-0")),
            lambda: client.register_model_version("models/zeta-0", ModelVersion(onnx=onnx)),
            lambda: client.set_alias("models/zeta-0", "candidate", 1),
            lambda: client.get_channel("products/zeta-phone/channels/stable"),
            lambda: client.create_channel(
                Channel(name="products/zeta-phone/channels/mine", model="models/acme-0")
            ),
            lambda: client.get_sensor_profile_version("sensorProfiles/zeta-sensor/versions/1"),
            lambda: client.create_sensor_profile_version("zeta-sensor", toml=TOML),
            lambda: client.download("/nowhere", model_version="models/zeta-0/versions/1"),
        ]
        for number, attempt in enumerate(attempts):
            with pytest.raises(PermissionDeniedError) as caught:
                attempt()
            assert caught.value.reason == "OTHER_PROJECT", number
    logs = "".join(path.read_text() for path in (world.stack.folder.path / "logs").iterdir())
    assert '"reason": "OTHER_PROJECT"' in logs
    assert '"who": "acme\'s"' in logs


def test_ids_that_are_left_empty_become_the_projects(world: World) -> None:
    with world.client("acme") as client:
        parts = list(client.get_dataset("datasets/acme-0").clips)
        made = client.create_dataset(parts)
        assert made.name.startswith("datasets/acme-")
        again = [client.create_dataset(parts, request_id="the same") for _ in range(2)]
        assert again[0].name == again[1].name != made.name
        with world.client("zeta") as other, pytest.raises(PermissionDeniedError):
            other.create_dataset(parts, request_id="the same", dataset_id="acme-x")
        for name in (made.name, again[0].name):
            client.delete_dataset(name)


def test_a_request_id_of_another_tells_nothing(world: World) -> None:
    """Both use the same one for everything: each makes its own, and hears of its own when it repeats that."""

    def made(client: Client, project: str) -> list[str]:
        again = "5cc1e4e2"
        parts = list(client.get_dataset(f"datasets/{project}-0").clips)
        search = Search(dataset=f"datasets/{project}-0", budget=Budget(reduction=100), seed=2)
        search.prototype.builtin = "classical"
        subjects: dict[str, Source] = {"model": f"models/{project}-2/versions/1"}
        onnx = world.stack.folder.path / f"{project}.onnx"
        onnx.write_bytes(root_of(100.0 + ord(project[0])))
        version = ModelVersion(onnx=client.upload_artifact(onnx))
        model, channel = f"models/{project}-2", f"products/{project}-phone/channels/again"
        answers = [
            client.create_dataset(parts, request_id=again),
            client.create_search(search, request_id=again),
            client.create_evaluation(f"datasets/{project}-0", subjects, request_id=again),
            client.create_sensor_profile_version(f"{project}-sensor", toml=TOML, request_id=again),
            client.register_model_version(model, version, request_id=again),
            client.create_channel(Channel(name=channel, model=model, version=1), request_id=again),
            client.start_rollout(channel, Rollout(version=2, percent=1), request_id=again),
        ]
        return [answer.name for answer in answers]

    with world.client("acme") as client, world.client("zeta") as other:
        first = made(other, "zeta")
        assert made(other, "zeta") == first
        mine = made(client, "acme")
        assert made(client, "acme") == mine
    assert {name.split("/")[1].split("-")[0] for name in mine} == {"acme"}


def test_pages_tell_nothing_of_what_others_have(world: World) -> None:
    with world.client("acme") as client, world.client("zeta") as other:
        stub, request_type = client._registry_stub, ListModelsRequest
        for size in (1, 2, 3, 100):
            token, seen = "", []
            while True:
                page = stub.ListModels(request_type(page_size=size, page_token=token), timeout=10)
                assert page.models or not seen
                seen += [model.name for model in page.models]
                if not (token := page.next_page_token):
                    break
                assert b"zeta" not in token.encode()
                with pytest.raises(grpc.RpcError):
                    other._registry_stub.ListModels(
                        request_type(page_size=size, page_token=token), timeout=10
                    )
            assert sorted(seen) == ["models/acme-0", "models/acme-1", "models/acme-2"]
        # A filter that only what is another's passes looks like one that nothing passes.
        answers = [
            stub.ListModels(request_type(page_size=1, filter=f'name = "models/{name}"'), timeout=10)
            for name in ("zeta-0", "zeta-there-is-none")
        ]
        assert answers[0] == answers[1]
        either = 'name = "models/acme-2" OR name = "models/zeta-2"'
        page = stub.ListModels(request_type(page_size=1, filter=either), timeout=10)
        assert ([model.name for model in page.models], page.next_page_token) == (["models/acme-2"], "")
        with pytest.raises(AutoISPError):
            list(client._registry.pages(stub.ListModels, request_type(page_token="made up"), list))


def test_a_watch_tells_of_the_projects_changes(world: World) -> None:
    with world.client("acme") as client, world.client("zeta") as other:
        told: list[str] = []
        for update in client.watch_models():
            text = str(update)
            assert "zeta" not in text
            told.append(text)
            if "synced_sequence" in text:
                other.set_alias("models/zeta-1", "candidate", 1)
                client.set_alias("models/acme-1", "candidate", 1)
            if "candidate" in text:
                break
    assert any("models/acme-0" in text for text in told)


def test_what_everybody_shares_is_not_for_one_project(world: World) -> None:
    with world.client("acme") as client:
        clip = next(iter(client.get_dataset("datasets/acme-0").clips)).clip
        assert client.get_clip(clip).name == clip
        attempts: list[Callable[[], object]] = [
            lambda: list(client.list_clips()),
            lambda: client.delete_clip(clip),
            lambda: client.import_clip("file:///etc/passwd"),
            lambda: client.verify_audit_log(),
        ]
        for attempt in attempts:
            with pytest.raises(PermissionDeniedError) as caught:
                attempt()
            assert caught.value.reason == "NOT_FOR_PROJECTS"


def test_every_method_was_looked_at(world: World) -> None:
    """A new method is not for projects until somebody has thought about it: add it here or there."""
    paths = {rpc.path for rpc in rpcs(world.stack.endpoints) if rpc.path.startswith("/autoisp.")}
    assert paths >= FOR_PROJECTS
    assert {path.rpartition("/")[2] for path in paths - FOR_PROJECTS} == SHARED


def test_whatever_is_asked_no_answer_has_anything_of_another(world: World) -> None:
    names = [
        f"{kind}/{project}-{number}"
        for project in PROJECTS
        for number in "012"
        for kind in ("datasets", "models")
    ]
    names += [f"models/{project}-0/versions/1" for project in PROJECTS]
    names += [f"products/{project}-phone/channels/stable" for project in PROJECTS]
    names += [f"searches/{project}-s" for project in PROJECTS] + ["models/-", "products/-"]
    generator = Generator(Random(7), names)
    caller, methods, good = Caller(world.secrets["acme"]), rpcs(world.stack.endpoints), 0
    for case in range(400):
        rpc = methods[case % len(methods)]
        code, said, answers = caller.call(rpc, generator.bodies(rpc))
        assert code not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN), (rpc.path, said)
        for answer in answers:
            good += 1
            assert b"zeta-" not in answer.SerializeToString(), (rpc.path, answer)
    caller.close()
    assert good > 20
    with world.client("zeta") as other:  # and nothing of it was changed
        assert {f"datasets/zeta-{n}" for n in range(3)} <= {item.name for item in other.list_datasets()}
        assert len(list(other.list_models())) == 3
