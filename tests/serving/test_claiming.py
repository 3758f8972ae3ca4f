"""Keys of one store that groups of the same name in two clusters would share."""

import json

import pytest
import redis
from botocore.exceptions import ClientError

from reco.serving.history import Keys
from reco.workload.tasks import Group
from tests.serving.stack import GROUP, OWNER, Stack, event, put, until

THEIRS = OWNER.model_copy(update={"cluster": "other"})


def owned(stack: Stack, owner: object = OWNER, **options: object) -> Group:
    return stack.group.model_copy(update={"owner": owner, **options})


def owner(stack: Stack) -> dict[str, str]:
    with redis.Redis.from_url(stack.store.url) as client:
        found: dict[str, str] = json.loads(client.get(Keys(GROUP).owner) or b"{}")
    return found


@pytest.mark.parametrize("role", ["collector", "consumer"])
def test_the_keys_of_another_cluster_s_group_keep_a_pod_from_being_ready(
    stack: Stack, role: str
) -> None:
    stack.start("collector", stack.collector(group=owned(stack, THEIRS)), "theirs")
    task = {"collector": stack.collector, "consumer": stack.consumer}[role]
    ours = stack.launch(role, task(), "ours")

    until(lambda: "OwnedElsewhere" in stack.readiness("ours"))

    told = stack.readiness("ours")
    assert "belongs to other/shop/movies" in told
    assert "has not released it to" in told
    assert "adopt-from" not in told, "no recipe that whoever asks can apply alone"
    assert told in ours.log.read_text()
    assert owner(stack) == THEIRS.model_dump()
    put(stack.client("personalize-events", "theirs"), event("i1"))
    if role == "collector":
        with pytest.raises(ClientError, match="starting"):
            put(stack.client("personalize-events", "ours"), event("i2"))
        return
    with redis.Redis.from_url(stack.store.url) as client:
        assert client.xlen(Keys(GROUP).stream) == 1, "nobody else took it out"


def test_keys_can_be_handed_over_and_are_kept_by_a_resource_made_anew(stack: Stack) -> None:
    made_anew = OWNER.model_copy(update={"uid": "2"})
    stack.start("collector", stack.collector(group=owned(stack, THEIRS)), "theirs")
    handed_over = owned(stack, adopt_from="other/shop/movies")
    stack.start("collector", stack.collector(group=handed_over), "ours")
    assert owner(stack) == OWNER.model_dump()
    never = owned(stack, made_anew, adopt_own=False)
    stack.launch("collector", stack.collector(group=never), "never")
    until(lambda: "earlier resource of this name" in stack.readiness("never"))
    stack.start("consumer", stack.consumer(group=owned(stack, made_anew)), "anew")
    assert owner(stack) == made_anew.model_dump()


def test_what_is_no_owner_is_left_alone(stack: Stack) -> None:
    with redis.Redis.from_url(stack.store.url) as client:
        client.set(Keys(GROUP).owner, "somebody's")
    stack.launch("consumer", stack.consumer())
    until(lambda: "is not reco's" in stack.readiness("consumer"))
