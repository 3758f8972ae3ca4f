"""No source lies in storage of ours, however the way there is spelled."""

from pathlib import Path

import pytest

from reco.storage import AccessDenied, Sources, claim, open_storage
from reco.workload.storage import Owner
from reco.workload.tasks import S3, Group, Storage

OWNER = Owner(cluster="c", namespace="shop", name="movies", uid="1")
GROUP = "shop_movies"
EU = "https://s3.eu-west-1.amazonaws.com"

SAME = {
    "case of the host": ("http://S3.Local", "http://s3.local", "data", "reco/groups/x"),
    "case of the scheme": ("http://s3.local", "HTTP://s3.local", "data", "reco/groups/x"),
    "default port": ("http://s3.local", "http://s3.local:80/", "data", "reco/groups/x"),
    "default port of TLS": ("https://s3.local:443", "https://s3.local", "data", "reco/groups/x"),
    "another scheme": ("https://s3.local", "http://s3.local", "data", "reco/groups/x"),
    "trailing dot": ("http://s3.local.:9000", "http://s3.local:9000", "data", "reco/groups"),
    "trailing slash": ("http://s3.local:9000/", "http://s3.local:9000", "data", "reco"),
    "with a user": ("http://s3.local", "http://a:b@s3.local", "data", "reco/groups/x"),
    "bucket in the host": ("http://s3.local", "http://data.s3.local", "reco", "groups/x"),
    "ours in the host": ("http://top.s3.local", "http://s3.local", "top", "data/reco/groups"),
    "Amazon by default": (None, EU, "data", "reco/groups/x"),
    "Amazon's regions": (EU, "https://s3.amazonaws.com", "data", "reco/groups/x"),
    "Amazon's dual stack": (EU, "https://s3.dualstack.us-east-1.amazonaws.com", "data", "reco"),
    "Amazon's FIPS": (None, "https://s3-fips.us-east-1.amazonaws.com", "data", "reco"),
    "Amazon's bucket in the host": (None, "https://data.s3.eu-west-1.amazonaws.com", "reco", ""),
    "Amazon's private link": (
        None,
        "https://bucket.vpce-1a-2b.s3.us-east-1.vpce.amazonaws.com",
        "data",
        "reco/groups/x",
    ),
    "doubled slashes": ("http://s3.local", "http://s3.local", "data", "reco//groups/x"),
    "dots": ("http://s3.local", "http://s3.local", "data", "reco/in/.././groups/x"),
    "dots from above": ("http://s3.local", "http://s3.local", "data", "../reco/groups/x"),
    "the folder itself": ("http://s3.local", "http://s3.local", "data", "reco/groups/"),
    "above": ("http://s3.local", "http://s3.local", "data", "reco"),
    "the whole bucket": ("http://s3.local", "http://s3.local", "data", ""),
}
APART = {
    "another host": ("http://s3.local", "http://s4.local", "data", "reco/groups/x"),
    "another port": ("http://s3.local:9000", "http://s3.local:9001", "data", "reco/groups/x"),
    "another bucket": ("http://s3.local", "http://s3.local", "data2", "reco/groups/x"),
    "another prefix": ("http://s3.local", "http://s3.local", "data", "reco2/groups/x"),
    "a name that begins alike": ("http://s3.local", "http://s3.local", "data", "reco/groups2/x"),
    "a name that is shorter": ("http://s3.local", "http://s3.local", "data", "reco/group"),
    "letters that are no escape": ("http://s3.local", "http://s3.local", "data", "reco/group%73/x"),
    "Amazon elsewhere": (None, "http://s3.local", "data", "reco/groups/x"),
    "Amazon in China": (None, "https://s3.cn-north-1.amazonaws.com.cn", "data", "reco/groups/x"),
}


def opened(endpoint: str | None, source: str | None, bucket: str, key: str) -> None:
    storage = Storage(s3=S3(bucket="data", prefix="/reco/", endpoint_url=endpoint))
    sources = Sources(S3(endpoint_url=source, region="eu-west-1"), apart_from=storage)
    sources.open(f"s3://{bucket}/{key}")


@pytest.mark.parametrize("place", SAME.values(), ids=SAME)
def test_r14_one_place_under_many_names_is_refused(place: tuple[str | None, str, str, str]) -> None:
    with pytest.raises(AccessDenied, match="s3://data/reco/groups/ is where dataset groups are"):
        opened(*place)


@pytest.mark.parametrize("place", APART.values(), ids=APART)
def test_another_place_is_not_refused(place: tuple[str | None, str, str, str]) -> None:
    opened(*place)


def test_a_scheme_in_capitals_names_the_same_key() -> None:
    assert Sources(S3(region="eu-west-1")).open("S3://data/in/a.csv").key == "in/a.csv"


def test_r14_an_alias_of_the_endpoint_is_known_by_the_group_s_own_file(s3: S3) -> None:
    storage = Storage(s3=s3)
    claim(open_storage(storage), Group(name=GROUP, storage=storage, owner=OWNER))
    open_storage(storage).put("groups/bank_loans/datasets/x.csv", b"x")
    open_storage(storage).put("in/a.csv", b"x")
    alias = (s3.endpoint_url or "").replace("127.0.0.1", "localhost")
    sources = Sources(S3(endpoint_url=alias), apart_from=storage, group=GROUP)
    bucket = f"s3://{s3.bucket}/{s3.prefix}".rstrip("/")

    assert [one.key for one in sources.open(f"{bucket}/in/").files()]
    for key in ("groups/bank_loans/", "groups/bank_loans/datasets/x.csv", "groups", ""):
        with pytest.raises(AccessDenied, match="is where dataset groups are kept"):
            list(sources.open(f"{bucket}/{key}").files())


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """The storage's volume, mounted once more for sources."""
    storage = tmp_path / "storage"
    (storage / "groups" / "bank_loans").mkdir(parents=True)
    (storage / "groups" / "bank_loans" / "x.csv").write_text("x")
    (storage / "in").mkdir()
    (storage / "in" / "a.csv").write_text("x")
    (tmp_path / "sources").symlink_to(storage)  # as good as a mount
    return tmp_path / "sources"


def of_volume(volume: Path) -> Sources:
    storage = Storage(path=str(volume.parent / "storage"))
    claim(open_storage(storage), Group(name=GROUP, storage=storage, owner=OWNER))
    return Sources(S3(), str(volume), apart_from=storage, group=GROUP)


@pytest.mark.parametrize(
    "path",
    [
        "groups/bank_loans/x.csv",
        "groups/",
        "",
        "in/../groups/",
        "gro%75ps/",
        "./groups//bank_loans/",
    ],
)
def test_r14_a_volume_that_is_mounted_twice_is_one_place(volume: Path, path: str) -> None:
    sources = of_volume(volume)
    with pytest.raises(AccessDenied, match="groups/ is where dataset groups are kept"):
        list(sources.open(f"file://{volume}/{path}").files())


def test_r14_no_link_on_the_volume_leads_to_groups(volume: Path) -> None:
    sources = of_volume(volume)
    assert [one.key for one in sources.open(f"file://{volume}/in").files()] == ["in/a.csv"]
    (volume / "in" / "linked").symlink_to(volume / "groups" / "bank_loans")
    (volume / "straight").symlink_to(volume / "groups")
    for path in ("in", "in/linked", "straight", "straight/bank_loans/x.csv"):
        with pytest.raises(AccessDenied, match="where dataset groups are kept"):
            list(sources.open(f"file://{volume}/{path}").files())


def test_a_volume_that_is_another_may_have_folders_of_that_name(tmp_path: Path) -> None:
    for name in ("storage", "sources/groups"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "sources" / "groups" / "a.csv").write_text("x")
    sources = of_volume(tmp_path / "sources")
    found = list(sources.open(f"file://{tmp_path}/sources/groups/").files())
    assert [one.key for one in found] == ["groups/a.csv"]
