"""One address for all campaigns: by ARN, over rankers that come and go."""

import json
import time
import urllib.request

import pytest

from reco.workload import tasks
from tests.serving.stack import ARN, CAMPAIGN, Stack, items

OTHER = "shop_others"


def runtime(stack: Stack, **addresses: str) -> None:
    """Start a runtime that knows rankers by their addresses."""
    stack.start("runtime", tasks.RuntimeTask(namespace="shop", addresses=addresses))


def test_campaigns_answer_at_one_address(stack: Stack) -> None:
    digest = stack.artifact()
    other = stack.ranker(artifact=digest, campaign=OTHER, arn=ARN.replace("for-you", "others"))
    stack.launch("ranker", stack.ranker(artifact=digest))
    stack.start("ranker", other, "other")
    stack.pods["ranker"].wait_ready(f"{stack.url('ranker')}/readyz")
    runtime(stack, **{CAMPAIGN: stack.url("ranker"), OTHER: stack.url("other")})
    client = stack.client("personalize-runtime", "runtime")
    direct = stack.client("personalize-runtime", "ranker")
    assert items(client, userId="u1") == items(direct, userId="u1")
    assert items(client, userId="u1", campaignArn=f"arn:reco:personalize:::campaign/{OTHER}")
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="does not exist"):
        client.get_recommendations(campaignArn=f"{ARN}-none", userId="u1")
    with pytest.raises(client.exceptions.InvalidInputException, match="at most 500"):
        client.get_recommendations(campaignArn=ARN, userId="u1", numResults=501)
    with pytest.raises(client.exceptions.InvalidInputException, match="campaignArn must be"):
        client.get_recommendations(userId="u1")


def test_a_name_that_does_not_resolve_is_no_campaign(stack: Stack) -> None:
    runtime(stack)
    client = stack.client("personalize-runtime", "runtime")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_recommendations(campaignArn=ARN, userId="u1")


def test_a_campaign_without_a_replica_is_unavailable_and_comes_back(stack: Stack) -> None:
    ranker = stack.start("ranker", stack.ranker())
    runtime(stack, **{CAMPAIGN: stack.url("ranker")})
    client = stack.client("personalize-runtime", "runtime", attempts=10)
    assert items(client, userId="u1")
    ranker.stop(grace=0)
    body = json.dumps({"campaignArn": ARN, "userId": "u1"}).encode()
    request = urllib.request.Request(f"{stack.url('runtime')}/recommendations", data=body)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    assert caught.value.code == 503
    stack.launch("ranker", stack.ranker())
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            assert items(client, userId="u1")
        except client.exceptions.ClientError:
            continue
        break
    assert items(client, userId="u1")
