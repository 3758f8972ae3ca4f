"""Looks whether the installed CRDs have all that this operator writes; see `reco.api.installed`."""

import asyncio
import logging
from typing import Final

from reco.api import installed
from reco.cluster.errors import StoreError, StoreNotFound
from reco.cluster.requests import Requests

logger = logging.getLogger(__name__)

_PERIOD: Final = 300.0


class InstalledCRDs:
    """What is wrong with the installed CRDs, as far as is known."""

    def __init__(self, api: Requests) -> None:
        """Know nothing yet."""
        self._api = api
        self.problem: str | None = None
        """What is wrong, for a person to read; None where all is well, or nobody may look."""

    async def check(self) -> None:
        """Compare what the API server publishes with the models, and log a new difference."""
        try:
            published = await self._api.request("GET", installed.PUBLISHED_AT)
        except StoreNotFound:
            self._tell("the CRDs are not installed: install those of this operator")
            return
        except StoreError as error:
            logger.info("can't look at the installed CRDs: %s", error)
            return
        # Rendering all schemas takes a moment, in which the event loop must not stand still.
        lacks = await asyncio.to_thread(installed.lacking, published)
        self._tell(installed.describe(lacks))

    async def run(self) -> None:
        """Check now and every few minutes, until cancelled: CRDs are installed while we run."""
        while True:
            await self.check()
            await asyncio.sleep(_PERIOD)

    def _tell(self, problem: str | None) -> None:
        if problem == self.problem:
            return
        if problem is None:
            logger.info("the installed CRDs have all that is needed")
        else:
            logger.warning("%s", problem)
        self.problem = problem
