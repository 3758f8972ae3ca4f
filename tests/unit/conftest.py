"""Storage of both kinds: a real folder, and a bucket behind a real S3 endpoint."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.s3 import S3Server
from reco.storage import ObjectStore, open_storage
from reco.workload.tasks import S3, Storage

BUCKET = "data"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server(tmp_path_factory.mktemp("s3") / "moto.log") as running:
        running.create_bucket(BUCKET)
        yield running


@pytest.fixture
def s3(server: S3Server, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> S3:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    prefix = "".join(one if one.isalnum() else "-" for one in request.node.name)
    return S3(bucket=BUCKET, prefix=prefix, endpoint_url=server.url)


@pytest.fixture
def volume(tmp_path: Path) -> Storage:
    (tmp_path / "volume").mkdir()
    return Storage(path=str(tmp_path / "volume"))


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    if request.param == "folder":
        return open_storage(request.getfixturevalue("volume"))
    return open_storage(Storage(s3=request.getfixturevalue("s3")))
