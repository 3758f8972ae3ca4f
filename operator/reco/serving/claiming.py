"""The keys of a group in an online store that others may use, too: whose they are.

A store that is not run for one group alone serves several clusters, whose groups may have the same
name. Whoever writes claims the group's keys first; the first claim wins, as in storage.
"""

import asyncio
import logging
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from reco.serving.history import Keys
from reco.serving.http import Application
from reco.serving.online import meaning
from reco.serving.stream import PAUSE_SECONDS
from reco.workload.claims import refusal
from reco.workload.results import Outcome
from reco.workload.storage import Owner
from reco.workload.tasks import Group

logger = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 5.0
"""How often keys of another resource are claimed again: they may be handed over."""


async def claim(client: Redis, group: Group) -> str | None:
    """Make the group's keys its owner's; return why they are not, or None.

    Raises:
        RedisError: the store fails.
    """
    key, wanted = Keys(group.name).owner, group.owner
    # Looked for first, because a full store refuses to make even what exists.
    told = await client.get(key)
    if told is None:
        await client.set(key, wanted.model_dump_json(), nx=True)
        told = await client.get(key)
    try:
        found = Owner.model_validate_json(told or b"")
    except ValueError:
        return f"{key} of the online store is not reco's: use another database for the group"
    what = f"{key.removesuffix(':owner')} of the online store"
    why = refusal(group, found, what, "another database")
    if why is not None:
        return f"{Outcome.OWNED_ELSEWHERE}: {why}"
    if found != wanted:
        await client.set(key, wanted.model_dump_json())
    return None


async def await_claim(client: Redis, group: Group, app: Application) -> None:
    """Claim the group's keys, however long it takes; meanwhile say why the pod is not ready."""
    while True:
        try:
            problem, seconds = await claim(client, group), AGAIN_SECONDS
        except RedisError as error:
            problem, seconds = meaning(error), PAUSE_SECONDS
        if problem is None:
            return
        if problem != app.problem:
            logger.warning("Not ready: %s", problem)
        app.problem = problem
        await asyncio.sleep(seconds)
