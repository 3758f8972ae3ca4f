"""The images run as the strictest security standard demands, and hold no more than they need."""

import json
import tarfile
from pathlib import Path

import pytest

from hack.images import Images
from hack.kube_access import KubectlError
from hack.node import NodeCluster
from reco.recipes import RECIPES
from tests.e2e import every_job
from tests.e2e.pods import USER, create, pod_spec, run

MEGABYTES = 300
"""Without compression: what a node's disk holds. Layers count whole, with what later ones hide."""
# What images are stripped of is no guess: all modules of their roles, the descriptions of AWS
# services, certificates and time zones must be found in them.
ROLES = {
    "engine": (
        *("reco.cli.job", "reco.cli.serve", "reco.jobs", "reco.serving"),
        *("reco.recipes", "reco.storage", "reco.workload"),
    ),
    "operator": ("reco.cli.operate", "reco.loop", "reco.engines"),
}
SERVICES = {
    "engine": ("s3", "sts"),
    "operator": ("personalize", "personalize-events", "personalize-runtime", "s3", "sts"),
}
IMPORTS = """
import importlib, pkgutil, ssl, zoneinfo, boto3
for name in {modules}:
    path = getattr(importlib.import_module(name), "__path__", ())
    for module in pkgutil.walk_packages(path, name + "."):
        importlib.import_module(module.name)
for name in {services}:
    boto3.client(name, region_name="eu-west-1")
assert ssl.create_default_context().cert_store_stats()["x509_ca"] > 100
assert len(zoneinfo.available_timezones()) > 400
print("all there")
"""


@pytest.mark.parametrize(
    ("image", "args", "says"),
    [
        ("engine", ["--help"], "usage: reco"),
        ("operator", ["operate", "--help"], "usage: reco operate"),
    ],
)
def test_the_command_runs_without_any_right(
    node: NodeCluster,
    namespace: str,
    images: Images,
    image: str,
    args: list[str],
    says: str,
) -> None:
    assert says in run(node, namespace, "help", pod_spec(images[image].reference, args))


@pytest.mark.parametrize("image", ["operator", "engine"])
def test_an_image_holds_all_that_its_roles_import(
    node: NodeCluster, namespace: str, images: Images, image: str
) -> None:
    program = IMPORTS.format(modules=ROLES[image], services=SERVICES[image])
    command = ["python", "-W", "error", "-c", program]
    spec = pod_spec(images[image].reference, command=command)
    assert run(node, namespace, "imports", spec) == "all there\n"


def test_the_engine_imports_data_and_trains_every_recipe(
    node: NodeCluster, namespace: str, images: Images
) -> None:
    command = ["python", "-W", "error", "-c", Path(every_job.__file__).read_text()]
    quiet = {"OPENBLAS_NUM_THREADS": "1"}  # implicit warns otherwise
    mount = {"name": "tmp", "mountPath": "/tmp"}
    reference = images["engine"].reference
    spec = pod_spec(reference, command=command, env=quiet, volumeMounts=[mount])
    spec["volumes"] = [{"name": "tmp", "emptyDir": {}}]
    log = run(node, namespace, "jobs", spec)
    assert [name for name in RECIPES if f"Succeeded: {name} of" not in log] == []


def test_a_container_that_may_more_is_refused(
    node: NodeCluster, namespace: str, images: Images
) -> None:
    spec = pod_spec(images["engine"].reference)
    spec["containers"][0]["securityContext"] = {"runAsUser": 0}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "root"}, "spec": spec}
    with pytest.raises(KubectlError, match="violates PodSecurity"):
        create(node, namespace, pod)


@pytest.mark.parametrize("name", ["operator", "engine"])
def test_an_image_is_small_and_has_no_shell_and_no_compiler(images: Images, name: str) -> None:
    with tarfile.open(images[name].archive) as archive:
        [manifest] = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        config = json.load(archive.extractfile(manifest["Config"]))  # type: ignore[arg-type]
        layers = []
        for layer in manifest["Layers"]:
            with tarfile.open(fileobj=archive.extractfile(layer)) as content:
                layers.append({member.name: member.size for member in content})
    files = {name for layer in layers for name in layer}
    assert config["config"]["User"] == f"{USER}:{USER}"
    assert sum(size for layer in layers for size in layer.values()) < MEGABYTES * 1e6
    programs = {Path(file) for file in files if Path(file).parent.name in {"bin", "sbin"}}
    ours = {file for file in programs if file.is_relative_to("opt")}
    assert "reco" in {file.name for file in ours}
    assert not {file.name for file in ours} & {"cc", "gcc", "c++", "ld", "uv", "pip"}
    assert all(file.name.startswith("python") for file in programs - ours), programs - ours
    assert not [file for file in files if file.endswith("/tests") and "numpy" in file]
