"""The images run as the strictest security standard demands, and hold no more than they need."""

import json
import tarfile

import pytest

from hack.images import Images
from hack.kube_access import KubectlError
from hack.node import NodeCluster
from tests.e2e.pods import USER, create, pod_spec, run

# Without compression, and without what a compressed layer would save: what a node's disk holds.
MEGABYTES = {"operator": 280, "engine": 460}
# What the engine's image is stripped of is no guess: these must work in it.
ENGINE_IMPORTS = """
import io
import boto3, fastavro, granian, hiredis, implicit.als, implicit.bpr, msgspec, orjson, redis
import numpy, prometheus_client, pyarrow, scipy.sparse.linalg, scipy.stats, threadpoolctl
import pyarrow.compute, pyarrow.csv, pyarrow.dataset, pyarrow.parquet
table = pyarrow.csv.read_csv(io.BytesIO(b"USER_ID,TIMESTAMP\\nann,1\\n"))
file = io.BytesIO()
pyarrow.parquet.write_table(table, file, compression="zstd")
assert pyarrow.parquet.read_table(file).to_pylist() == [{"USER_ID": "ann", "TIMESTAMP": 1}]
matrix = scipy.sparse.random(50, 40, 0.2, format="csr", dtype=numpy.float32)
implicit.als.AlternatingLeastSquares(factors=8, iterations=1).fit(matrix, show_progress=False)
boto3.client("s3", region_name="eu-west-1"), boto3.client("sts", region_name="eu-west-1")
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


def test_the_engine_finds_all_that_it_imports(
    node: NodeCluster, namespace: str, images: Images
) -> None:
    command = ["python", "-W", "error", "-c", ENGINE_IMPORTS]
    quiet = {"OPENBLAS_NUM_THREADS": "1"}  # implicit warns otherwise
    spec = pod_spec(images["engine"].reference, command=command, env=quiet)
    assert run(node, namespace, "imports", spec) == "all there\n"


def test_a_container_that_may_more_is_refused(
    node: NodeCluster, namespace: str, images: Images
) -> None:
    spec = pod_spec(images["engine"].reference)
    spec["containers"][0]["securityContext"] = {"runAsUser": 0}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "root"}, "spec": spec}
    with pytest.raises(KubectlError, match="violates PodSecurity"):
        create(node, namespace, pod)


@pytest.mark.parametrize("name", ["operator", "engine"])
def test_an_image_is_small_and_has_no_compiler(images: Images, name: str) -> None:
    with tarfile.open(images[name].archive) as archive:
        [manifest] = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        config = json.load(archive.extractfile(manifest["Config"]))  # type: ignore[arg-type]
        files = {}
        for layer in manifest["Layers"]:
            with tarfile.open(fileobj=archive.extractfile(layer)) as content:
                files.update({member.name: member.size for member in content})
    assert config["config"]["User"] == f"{USER}:{USER}"
    assert sum(files.values()) < MEGABYTES[name] * 1e6
    programs = {file.rpartition("/")[2] for file in files if "/bin/" in f"/{file}"}
    assert not programs & {"cc", "gcc", "c++", "ld", "rustc", "go", "uv", "apt-get"}
    assert not [file for file in files if file.endswith("/tests") and "numpy" in file]
