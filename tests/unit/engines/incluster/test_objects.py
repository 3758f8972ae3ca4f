"""Manifests are compared with what the cluster has only in what they say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reco.engines.incluster.objects import quantity, within

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


@given(JSON)
def test_what_is_as_wanted_is_no_difference(value: object) -> None:
    assert within(value, value) == value


def test_defaults_and_additions_of_others_are_no_difference() -> None:
    wanted = {"containers": [{"name": "ranker", "image": "a"}], "replicas": 2}
    found = {
        "containers": [
            {"name": "proxy", "image": "sidecar"},
            {"name": "ranker", "image": "a", "terminationMessagePolicy": "File"},
        ],
        "replicas": 2,
        "schedulerName": "default-scheduler",
    }
    assert within(wanted, found) == wanted


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {}),
        ({"a": ["x", "y"]}, {"a": ["x"]}),
        ({"a": [{"name": "x"}]}, {"a": []}),
        ({"a": [{"name": "x", "b": 1}]}, {"a": [{"name": "x", "b": 2}]}),
        ({"cpu": "1"}, {"cpu": "2"}),
    ],
)
def test_every_other_difference_is_seen(wanted: object, found: object) -> None:
    assert within(wanted, found) != wanted


@pytest.mark.parametrize(
    ("one", "other"), [("1000m", "1"), ("1Gi", "1024Mi"), ("0.5", "500m"), ("2G", "2000M")]
)
def test_quantities_that_mean_the_same_are_the_same(one: str, other: str) -> None:
    assert quantity(one) == quantity(other)
    assert within({"memory": one}, {"memory": other}) == {"memory": one}


def test_a_word_is_no_quantity() -> None:
    assert quantity("lots") is None
    assert within("lots", "few") == "few"
