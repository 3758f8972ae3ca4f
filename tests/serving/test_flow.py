"""From an event to a changed answer, through real processes and boto3."""

import time

from tests.serving.stack import Stack, event, items, put, until


def test_an_event_changes_the_next_answer(stack: Stack) -> None:
    stack.launch("ranker", stack.ranker())
    stack.launch("collector", stack.collector())
    stack.launch("consumer", stack.consumer())
    for name, pod in stack.pods.items():
        pod.wait_ready(f"{stack.url(name)}/readyz")
    runtime = stack.client("personalize-runtime", "ranker")
    events = stack.client("personalize-events", "collector")
    before = items(runtime, userId="u1")
    put(events, event(before[0], time.time()), userId="u1")
    until(lambda: before[0] not in items(runtime, userId="u1"))
    assert stack.metric("consumer", "reco_events_folded_total") == 1
