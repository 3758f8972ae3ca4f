"""Imports from an S3 that is not ours."""

from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer

from reco.emulator.objects import S3Objects
from reco.emulator.ports import ObjectStoreError


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Objects]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    _, port = moto.get_host_and_port()
    objects = S3Objects(f"http://127.0.0.1:{port}")
    objects._client.create_bucket(Bucket="data")
    for key in ("a.csv", "a.csv.old", "day/2.csv", "day/1.csv", "day/"):
        objects._client.put_object(Bucket="data", Key=key, Body=key.encode() * (key != "day/"))
    yield objects
    objects._client.close()
    moto.stop()


def test_a_location_is_an_object_or_all_below_a_prefix(objects: S3Objects) -> None:
    assert objects.read("s3://data/a.csv") == [("a.csv", b"a.csv")]
    below = [("day/1.csv", b"day/1.csv"), ("day/2.csv", b"day/2.csv")]
    assert objects.read("s3://data/day/") == below
    assert objects.read("s3://data/day") == below
    assert objects.read("s3://data/nothing") == []


@pytest.mark.parametrize("location", ["s3://no-such-bucket/a", "https://data/a.csv", "s3:///a"])
def test_what_is_no_location_is_refused(objects: S3Objects, location: str) -> None:
    with pytest.raises(ObjectStoreError):
        objects.read(location)
