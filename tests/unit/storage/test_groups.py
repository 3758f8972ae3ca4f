import pytest

from reco.storage import Corrupt, ObjectStore, OwnedElsewhere, claim, read
from reco.workload.storage import CurrentData, Owner, Places
from reco.workload.tasks import Group, Storage

OWNER = Owner(cluster="c", namespace="shop", name="movies", uid="1")
AGAIN = OWNER.model_copy(update={"uid": "2"})
OTHER = OWNER.model_copy(update={"namespace": "bank"})
PLACES = Places("shop_movies")


def group(owner: Owner, **options: object) -> Group:
    return Group.model_validate(
        {"name": "shop_movies", "storage": Storage(), "owner": owner} | options
    )


def owner_in(store: ObjectStore) -> Owner | None:
    return read(store, PLACES.owner, Owner)


def test_the_first_claim_wins_and_may_be_repeated(store: ObjectStore) -> None:
    claim(store, group(OWNER))
    claim(store, group(OWNER))
    with pytest.raises(OwnedElsewhere, match="belongs to c/shop/movies"):
        claim(store, group(OTHER))
    assert owner_in(store) == OWNER


def test_whoever_differs_in_any_part_of_its_name_is_another(store: ObjectStore) -> None:
    claim(store, group(OWNER))
    for part in ("cluster", "namespace", "name"):
        with pytest.raises(OwnedElsewhere, match="belongs to c/shop/movies"):
            claim(store, group(OWNER.model_copy(update={part: "another"})))
    assert owner_in(store) == OWNER


def test_a_resource_made_anew_is_the_same_owner_unless_its_policy_is_never(
    store: ObjectStore,
) -> None:
    claim(store, group(OWNER))
    with pytest.raises(OwnedElsewhere, match="earlier resource of this name"):
        claim(store, group(AGAIN, adopt_own=False))
    claim(store, group(AGAIN))
    assert owner_in(store) == AGAIN


def test_a_person_can_hand_a_group_over(store: ObjectStore) -> None:
    claim(store, group(OWNER))
    claim(store, group(OTHER, adopt_from="c/shop/movies"))
    assert owner_in(store) == OTHER


def test_what_is_no_document_is_corrupt_and_named(store: ObjectStore) -> None:
    store.put(PLACES.current("Items"), b'{"snapshots": 7}')
    with pytest.raises(Corrupt, match=r"current\.json is no CurrentData"):
        read(store, PLACES.current("Items"), CurrentData)
    assert read(store, PLACES.current("Users"), CurrentData) is None
