"""The files of deploy/, by which mien runs on many machines, as far as they can be held to account without any: the
schemas of Compose and Kubernetes, and who may do what."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from mien.settings import load

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
VERSION = "1.34"
OURS = ("serve-1", "serve-2", "daily", "cli", "worker")
"""The services that open the album."""


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))


@pytest.fixture(scope="module")
def base() -> list[dict[str, Any]]:
    """All that the base of Kustomize names."""
    return list(resources(KUBERNETES / "base"))


def resources(folder: Path) -> Iterator[dict[str, Any]]:
    """What a Kustomization names, in files that must be there."""
    described = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
    for each in described["resources"]:
        if (folder / each).is_dir():
            yield from resources(folder / each)
        else:
            yield from yaml.safe_load_all((folder / each).read_text("utf-8"))
    for generated in described.get("configMapGenerator", ()):
        assert all((folder / file).is_file() for file in generated["files"])
    assert all((folder / file).is_file() for file in described.get("configurations", ()))


def pods(documents: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The specs of all pods, also of those that an operator makes."""
    for each in documents:
        match each["kind"]:
            case "Deployment":
                yield each["metadata"]["name"], each["spec"]["template"]["spec"]
            case "CronJob":
                yield each["metadata"]["name"], each["spec"]["jobTemplate"]["spec"]["template"]["spec"]
            case "DaskCluster":
                yield "scheduler", each["spec"]["scheduler"]["spec"]
                yield "worker", each["spec"]["worker"]["spec"]


def of_kind(documents: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """The specs of a kind by name."""
    return {each["metadata"]["name"]: each["spec"] for each in documents if each["kind"] == kind}


def test_no_secret_stands_in_any_file() -> None:
    for file in DEPLOY.rglob("*"):
        if not file.is_file() or file.name == ".env":
            continue
        text = file.read_text("utf-8")
        for name, value in re.findall(r"(?m)^\s*(\w*(?:PASSWORD|SECRET|KEY)\w*)\s*[:=]\s*(.+)$", text):
            assert value.startswith("${"), (file.name, name)
        assert not re.search(r"://[^/\s\"@]+:[^/\s\"@]+@", text), file.name


def test_the_passwords_are_made_by_chance_for_their_owner_alone(tmp_path: Path) -> None:
    made = []
    for number in range(2):
        script = shutil.copy(DEPLOY / "secrets", tmp_path)
        subprocess.run([script], check=True)
        assert subprocess.run([script], check=False, capture_output=True).returncode, "those that are there stay"
        file = (tmp_path / ".env").rename(tmp_path / f"{number}.env")
        assert file.stat().st_mode & 0o777 == 0o600
        made.append(file.read_text("utf-8"))
    names = [dict(line.split("=") for line in text.splitlines()) for text in made]
    assert set(names[0]) == {"POSTGRES_PASSWORD", "S3_KEY", "S3_SECRET"} and names[0] != names[1]
    assert all(len(value) >= 20 for value in names[0].values())
    used = set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text("utf-8")))
    assert used == set(names[0])


# Compose


def test_the_compose_file_is_one() -> None:
    tool = Path(sysconfig.get_path("scripts"), "check-jsonschema")
    check = [str(tool), "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml")]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_container_is_locked_in(compose: Any) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"] and service["pids_limit"], name
        assert service["mem_limit"] and "privileged" not in service and "network_mode" not in service, name
    assert {name for name, service in compose["services"].items() if "ports" in service} == {"proxy"}
    assert {name for name, service in compose["services"].items() if "cap_add" in service} == {"proxy"}


def test_the_scheduler_is_reached_by_whoever_has_work_for_it_and_by_its_workers(compose: Any) -> None:
    services, networks = compose["services"], compose["networks"]
    assert all(networks[name]["internal"] for name in ("inside", "store", "compute"))
    assert services["scheduler"]["networks"] == ["compute"]
    assert {name for name, one in services.items() if "compute" in one["networks"]} == {*OURS, "scheduler"}
    assert {name for name, one in services.items() if "store" in one["networks"]} == {
        *OURS,
        "postgres",
        "s3",
        "bucket",
    }
    assert "outside" not in services["worker"]["networks"], "photos come from the bucket alone"
    assert all(name.startswith("DASK_") for name in services["scheduler"]["environment"]), "it needs no password"


def test_whoever_opens_the_album_has_the_same_settings(compose: Any) -> None:
    mounted = "./mien.toml:/album/mien.toml:ro"
    for name in OURS:
        assert mounted in compose["services"][name]["volumes"], name
    settings = load(DEPLOY, {}, {})
    assert str(settings.catalog).endswith("@postgres/mien") and settings.scheduler == "tcp://scheduler:8786"
    assert [*settings.server.trusted_proxies] == [compose["services"]["proxy"]["networks"]["inside"]["ipv4_address"]]
    caddy = (DEPLOY / "Caddyfile").read_text("utf-8")
    assert "mien-1:8000 mien-2:8000" in caddy and "health_uri /readyz" in caddy and "respond /metrics* 404" in caddy
    one, two = (dict(compose["services"][name]) for name in ("serve-1", "serve-2"))
    inside = [each.pop("networks")["inside"]["aliases"] for each in (one, two)]
    assert one == two and inside == [["mien-1"], ["mien-2"]]
    assert {one["build"]["args"]["LOCK"] for name, one in compose["services"].items() if name in OURS} == {"scale"}
    assert (ROOT / "requirements/scale.txt").is_file()


# Kubernetes


@pytest.mark.parametrize("folder", ["base", "overlays/example"])
def test_kubernetes_knows_every_field(folder: str) -> None:
    documents = list(resources(KUBERNETES / folder))
    for each in documents:
        if each["kind"] != "DaskCluster":
            kubernetes_validate.validate(each, VERSION, strict=True)
    for name, spec in pods(documents):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        kubernetes_validate.validate(pod, VERSION, strict=True)


def test_the_cluster_of_dask_is_as_its_operator_wants_it(base: list[dict[str, Any]]) -> None:
    """Its parts as the operator's own schema requires them: kubernetes.dask.org/en/latest/operator_resources.html."""
    (cluster,) = of_kind(base, "DaskCluster").values()
    assert set(cluster) == {"scheduler", "worker"} and set(cluster["worker"]) == {"replicas", "spec"}
    assert set(cluster["scheduler"]) == {"spec", "service"}
    service = cluster["scheduler"]["service"]
    assert service["selector"] == {"dask.org/cluster-name": "mien", "dask.org/component": "scheduler"}
    ports = {port["name"]: port["port"] for port in service["ports"]}
    assert ports == {"tcp-comm": 8786, "http-dashboard": 8787}
    assert "$(DASK_WORKER_NAME)" in cluster["worker"]["spec"]["containers"][0]["args"]


def test_every_pod_is_nobody_and_locked_in(base: list[dict[str, Any]]) -> None:
    found = dict(pods(base))
    assert set(found) == {"serve", "daily", "scheduler", "worker"}
    for name, spec in found.items():
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True and spec["securityContext"]["runAsUser"] == 10001, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        (container,) = spec["containers"]
        assert container["image"] == "mien-scale", "an overlay names another"
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True and context["allowPrivilegeEscalation"] is False, name
        assert context["capabilities"] == {"drop": ["ALL"]}, name
        assert container["resources"]["requests"] and container["resources"]["limits"]["memory"], name
        assert all("sizeLimit" in volume["emptyDir"] for volume in spec["volumes"] if "emptyDir" in volume), name
        assert ("envFrom" in container) == (name != "scheduler"), "the scheduler needs no password"
    assert of_kind(base, "Deployment")["serve"]["template"]["spec"]["containers"][0]["readinessProbe"]["httpGet"][
        "path"
    ] == ("/readyz")


def test_the_scheduler_lets_in_its_workers_whoever_has_work_and_the_operator(base: list[dict[str, Any]]) -> None:
    policies = of_kind(base, "NetworkPolicy")
    assert policies["nobody"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    scheduler = {"dask.org/cluster-name": "mien", "dask.org/component": "scheduler"}
    assert policies["scheduler"]["podSelector"]["matchLabels"] == scheduler
    ours, operator = policies["scheduler"]["ingress"]
    assert [one["podSelector"]["matchLabels"] for one in ours["from"]] == [
        scheduler | {"dask.org/component": "worker"},
        {"mien/computes": "true"},
    ]
    assert "namespaceSelector" in operator["from"][0] and len(operator["from"]) == 1
    labels = {each["kind"]: each for each in base}
    serve = labels["Deployment"]["spec"]["template"]["metadata"]["labels"]
    daily = labels["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    assert serve["mien/computes"] == daily["mien/computes"] == "true"


def test_one_server_is_left_whatever_is_maintained(base: list[dict[str, Any]]) -> None:
    budget = of_kind(base, "PodDisruptionBudget")["serve"]
    deployment = of_kind(base, "Deployment")["serve"]
    assert budget["minAvailable"] == 1 < deployment["replicas"]
    assert budget["selector"] == deployment["selector"] == {"matchLabels": {"app.kubernetes.io/name": "serve"}}
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_an_overlay_changes_what_is_there(base: list[dict[str, Any]]) -> None:
    folder = KUBERNETES / "overlays/example"
    described = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
    for patch in described["patches"]:
        (target,) = (
            each
            for each in base
            if (each["kind"], each["metadata"]["name"]) == (patch["target"]["kind"], patch["target"]["name"])
        )
        for step in yaml.safe_load(patch["patch"]):
            value: Any = target
            for name in step["path"].split("/")[1:]:
                value = value[name]
            assert step["op"] == "replace" and type(value) is type(step["value"]), step
    (image,) = described["images"]
    assert image["name"] == "mien-scale"
    of_base, of_overlay = (tomllib.loads((file / "mien.toml").read_text()) for file in (KUBERNETES / "base", folder))
    assert set(of_base) <= set(of_overlay) and "sslmode=verify-full" in of_overlay["catalog"]


def test_the_names_that_kustomize_changes_are_changed_in_the_cluster_too(base: list[dict[str, Any]]) -> None:
    (reference,) = yaml.safe_load((KUBERNETES / "base/names.yaml").read_text("utf-8"))["nameReference"]
    (field,) = reference["fieldSpecs"]
    assert (reference["kind"], field["kind"]) == ("ConfigMap", "DaskCluster")
    (cluster,) = (each for each in base if each["kind"] == "DaskCluster")
    *path, name = field["path"].split("/")
    value: Any = cluster
    for step in path:
        value = value[step] if isinstance(value, dict) else next(one[step] for one in value if step in one)
    assert value[name] == "mien"
