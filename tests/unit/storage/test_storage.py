import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

from hack.processes import free_port
from reco.storage import (
    AccessDenied,
    Corrupt,
    NotFound,
    ObjectStore,
    Sources,
    Unavailable,
    digest_of,
    download_checked,
    open_storage,
)
from reco.storage.folder import FolderStore
from reco.storage.s3 import S3Store
from reco.workload.storage import Places
from reco.workload.tasks import S3, Storage


def keys(store: ObjectStore, folder: str = "") -> list[str]:
    return [entry.key for entry in store.entries(folder)]


def test_what_is_put_is_got_listed_and_deleted(store: ObjectStore) -> None:
    store.put("groups/shop/a.json", b"1")
    store.put("groups/shop/b/c.json", b"22")
    store.put("groups/shop-2/a.json", b"3")
    assert store.get("groups/shop/b/c.json") == b"22"
    assert keys(store, "groups/shop") == ["groups/shop/a.json", "groups/shop/b/c.json"]
    assert keys(store) == [
        "groups/shop-2/a.json",
        "groups/shop/a.json",
        "groups/shop/b/c.json",
    ]
    store.delete("groups/shop/a.json", "groups/shop/b/c.json", "groups/never")
    store.delete("groups/shop/a.json")
    assert keys(store) == ["groups/shop-2/a.json"]


def test_a_version_changes_with_the_content(store: ObjectStore) -> None:
    store.put("a", b"one")
    first = store.find("a")
    assert first is not None
    assert [first] == list(store.entries(""))
    store.put("a", b"longer")
    second = store.find("a")
    assert second is not None
    assert (second.size, second.version) != (first.size, first.version)
    assert store.find("b") is None


def test_only_the_first_of_many_writers_writes_what_was_absent(store: ObjectStore) -> None:
    def claim(writer: int) -> bool:
        return store.put_if_absent("groups/shop/group.json", str(writer).encode())

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(claim, range(8)))
    assert won.count(True) == 1
    assert store.get("groups/shop/group.json") == str(won.index(True)).encode()
    assert keys(store) == ["groups/shop/group.json"]


def test_a_file_is_replaced_only_while_it_is_what_was_read(store: ObjectStore) -> None:
    assert not store.replace("a/b", b"", b"1")
    store.put("a/b", b"1")

    def count(_: int) -> None:
        while not store.replace("a/b", was := store.get("a/b"), str(int(was) + 1).encode()):
            pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(8)))
    assert store.get("a/b") == b"9"
    assert not store.replace("a/b", b"8", b"7")
    assert keys(store) == ["a/b"]


def test_a_large_file_goes_there_and_back_and_is_read_from_any_position(
    store: ObjectStore, tmp_path: Path
) -> None:
    content = os.urandom(1 << 20) * 19
    local, back = tmp_path / "local", tmp_path / "back"
    local.write_bytes(content)
    store.upload("large", local)
    store.download("large", back)
    assert hashlib.sha256(back.read_bytes()).digest() == hashlib.sha256(content).digest()
    with store.open("large") as file:
        file.seek(-7, io.SEEK_END)
        assert file.read() == content[-7:]
        file.seek(5 << 20)
        assert file.read(3) == content[:3]
    digest = hashlib.sha256(content).hexdigest()
    assert digest_of(local) == digest
    download_checked(store, "large", back, digest, "")
    store.put("large", content[:-1])
    with pytest.raises(Corrupt, match=f"large is damaged: .*, not {digest}. Write it again"):
        download_checked(store, "large", back, digest, "Write it again")


def test_an_empty_file_is_a_file(store: ObjectStore) -> None:
    store.put("empty", b"")
    with store.open("empty") as file:
        assert file.read() == b""
    assert store.get("empty") == b""


def test_what_is_absent_is_named(store: ObjectStore, tmp_path: Path) -> None:
    for read in (store.get, store.open, lambda key: store.download(key, tmp_path / "x")):
        with pytest.raises(NotFound, match="groups/nobody"):
            read("groups/nobody")
    assert keys(store, "groups/nobody") == []


def test_a_bucket_that_does_not_exist_is_not_found(s3: S3) -> None:
    store = S3Store(s3.model_copy(update={"bucket": "nobodys"}))
    with pytest.raises(NotFound, match=r"s3://nobodys/.*NoSuchBucket"):
        keys(store)
    with pytest.raises(NotFound, match="NoSuchBucket"):
        store.put("a", b"")


def test_an_endpoint_where_nobody_listens_is_unavailable(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    url = f"http://127.0.0.1:{free_port()}"
    store = S3Store(s3.model_copy(update={"endpoint_url": url}))
    with pytest.raises(Unavailable, match=f"cannot be read: .*{url}"):
        store.get("a")


def test_no_credentials_are_denied_with_what_to_do(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(AccessDenied, match="Give the pod a service account"):
        S3Store(s3).get("a")


def test_an_object_changed_while_it_is_read_is_noticed(s3: S3) -> None:
    store = S3Store(s3)
    store.put("a", b"x" * (9 << 20))
    with store.open("a") as file:
        file.read(1)
        store.put("a", b"y" * (9 << 20))
        with pytest.raises(Unavailable, match="PreconditionFailed"):
            file.read()


def test_keys_stay_below_the_prefix(s3: S3) -> None:
    S3Store(s3).put("a", b"1")
    assert keys(S3Store(s3.model_copy(update={"prefix": ""})), s3.prefix) == [f"{s3.prefix}/a"]


def test_a_folder_is_not_left_by_dots_or_links(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "secret").write_text("x")
    (tmp_path / "volume" / "link").symlink_to(tmp_path / "secret")
    store = FolderStore(tmp_path / "volume")
    for key in ("../secret", "link", "/etc/passwd"):
        with pytest.raises(AccessDenied, match="leads out of"):
            store.get(key)


def test_a_volume_that_is_not_mounted_is_not_found_and_not_made(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "volume")
    with pytest.raises(NotFound, match="mount a volume"):
        store.put("a", b"")
    with pytest.raises(NotFound, match="mount a volume"):
        keys(store)
    assert not (tmp_path / "volume").exists()


def test_a_file_on_the_way_to_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(NotFound, match="Not a directory"):
        FolderStore(tmp_path).get("a/b")


_WRITER = """
import sys
from pathlib import Path
from reco.storage.folder import FolderStore
store = FolderStore(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    for letter in b"ab":
        store.put("file", bytes([letter]) * (4 << 20))
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            while store.find("file") is None:
                pass
            writer.send_signal(signal.SIGKILL)
        content = store.get("file")
        assert len(content) == 4 << 20
        assert content in {b"a" * len(content), b"b" * len(content)}
        assert keys(store) == ["file"]
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()


def test_a_source_is_a_file_or_all_files_below_a_prefix(s3: S3, tmp_path: Path) -> None:
    sources = Sources(s3, str(tmp_path))
    for name in ("day=1/a.csv", "day=1/_SUCCESS", "day=1/.a.csv.crc", "day=10/b.csv"):
        S3Store(s3).put(f"in/{name}", b"x")
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    for base in (f"s3://data/{s3.prefix}/in", f"file://{tmp_path}"):
        assert [
            [entry.key.rpartition("/")[2] for entry in sources.open(f"{base}{end}").files()]
            for end in ("/", "", "/day=1/", "/day=1", "/day=1/a.csv")
        ] == [["a.csv", "b.csv"], ["a.csv", "b.csv"], ["a.csv"], ["a.csv"], ["a.csv"]]
        with pytest.raises(NotFound, match="day=2 holds no data"):
            list(sources.open(f"{base}/day=2").files())


@pytest.mark.parametrize(
    "location", ["", "/sources/a", "file:///etc/passwd", "file://sources/a", "gs://a/b", "s3:///a"]
)
def test_a_location_of_another_sort_is_refused(location: str) -> None:
    with pytest.raises(NotFound, match="write s3://bucket/file-or-prefix"):
        Sources(S3()).open(location)


@pytest.mark.parametrize("key", ["", "reco", "reco/groups", "reco/groups/bank/x.parquet"])
def test_no_source_lies_where_groups_are_kept(key: str) -> None:
    ours = S3(bucket="data", prefix="reco/", endpoint_url="http://s3")
    storage = Storage(s3=ours)
    sources = Sources(S3(endpoint_url="http://s3"), apart_from=storage, environment={})
    with pytest.raises(AccessDenied, match="Name a prefix apart from it"):
        sources.open(f"s3://data/{key}")
    for apart in (
        f"s3://other/{key}",
        "s3://data/reco/group",
        "s3://data/rec",
        "s3://data/reco/in",
    ):
        sources.open(apart)
    Sources(S3(), apart_from=storage, environment={}).open(f"s3://data/{key}")


def test_storage_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match=r"s3\.bucket or path"):
        open_storage(Storage())


def test_a_denied_bucket_says_what_to_allow(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    iam = boto3.Session().client("iam", endpoint_url=s3.endpoint_url)
    iam.create_user(UserName="stranger")
    key = iam.create_access_key(UserName="stranger")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    store = S3Store(s3)
    with permissions_checked(f"{s3.endpoint_url}"):
        with pytest.raises(AccessDenied, match="allow them s3:ListBucket"):
            keys(store)
        with pytest.raises(AccessDenied, match="written"):
            store.put_if_absent("a", b"")
        with pytest.raises(AccessDenied, match="read"):
            store.find("a")


def test_sources_have_credentials_of_their_own(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    S3Store(s3).put("a.csv", b"x")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    location = f"s3://{s3.bucket}/{s3.prefix}/a.csv"
    with pytest.raises(AccessDenied):
        list(Sources(s3).open(location).files())
    monkeypatch.setenv("RECO_SOURCE_AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("RECO_SOURCE_AWS_SECRET_ACCESS_KEY", "test")
    assert len(list(Sources(s3).open(location).files())) == 1


@contextmanager
def permissions_checked(url: str) -> Iterator[None]:
    """Let moto heed IAM for a while: it counts down the calls that it lets pass."""

    def let_pass(calls: int) -> None:
        headers = {"Content-Type": "text/plain"}
        urllib.request.urlopen(
            urllib.request.Request(f"{url}/moto-api/reset-auth", str(calls).encode(), headers)
        ).close()

    let_pass(0)
    try:
        yield
    finally:
        let_pass(1_000_000_000)


def test_names_of_any_length_make_different_places(store: ObjectStore) -> None:
    places = Places("g" * 300)
    long = [places.version("s" * 300 + end, "v/1") for end in "ab"]
    for place in long:
        assert store.put_if_absent(place, b"")
    assert keys(store, places.versions) == sorted(long)


def test_what_a_killed_writer_left_goes_with_its_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    left, under_way = tmp_path / "a" / ".0.partial", tmp_path / "a" / ".1.partial"
    for path in (left, under_way):
        path.write_bytes(b"half")
    two_days_ago = left.stat().st_mtime - 2 * 86_400
    os.utime(left, (two_days_ago, two_days_ago))
    store = FolderStore(tmp_path)
    store.put("a/b", b"1")
    store.delete("a/b")
    assert not left.exists()
    assert under_way.exists()
    os.utime(under_way, (two_days_ago, two_days_ago))
    store.delete("a/b")
    assert not (tmp_path / "a").exists()
