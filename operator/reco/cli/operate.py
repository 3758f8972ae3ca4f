"""``reco operate``: the operator.

Every setting is a flag and an environment variable of the same name with RECO_ before it; a flag
wins.
"""

import argparse
import asyncio
import random
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import Any, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from reco.api.engine_class import Engine as EngineName
from reco.api.resource import Resource
from reco.engines.incluster.cluster import Cluster
from reco.engines.incluster.credentials import Credentials
from reco.engines.incluster.engine import InClusterEngine
from reco.engines.personalize.aws import AwsConnections
from reco.engines.personalize.engine import PersonalizeEngine, settings_of
from reco.engines.personalize.polling import PollSettings, Timers
from reco.engines.port import Engine, EngineFactory
from reco.loop import logs, operator
from reco.loop.settings import Settings

_BAD_SETTINGS = 2


def add_parser(subparsers: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse names no public type for it
    """Add the command and a flag for each setting."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "operate", help="run the Kubernetes operator", description=__doc__
    )
    for name, field in Settings.model_fields.items():
        _add_flag(parser, name, field)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the operator until it is told to stop."""
    given = {
        name: value for name in Settings.model_fields if (value := getattr(args, name)) is not None
    }
    try:
        settings = Settings(**given)
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            name = ".".join(str(part) for part in problem["loc"])
            sys.stderr.write(f"reco operate: {name}: {problem['msg']}\n")
        return _BAD_SETTINGS
    logs.configure(settings.log_level)
    with closing(AwsConnections()) as connections:
        return operator.run(settings, partial(engine_factory, connections=connections))


def engine_factory(
    means: operator.Means, connections: AwsConnections | None = None
) -> EngineFactory:
    """Return what makes the engine of a class: the one place that knows which engines there are.

    Args:
        means: settings, the Kubernetes API, and who is told of calls.
        connections: the connections to AWS to use, for the caller to close; left out, they last as
            long as the process.
    """
    connections = connections or AwsConnections()
    settings = means.settings
    timers = Timers(
        clock=partial(datetime.now, UTC),
        time=time.monotonic,
        sleep=asyncio.sleep,
        random=random.Random(),  # noqa: S311 - jitter is no secret
    )
    polling = PollSettings(
        fast=settings.poll_fast,
        slow=settings.poll_slow,
        sweep=settings.sweep,
        settle=settings.settle,
    )

    def personalize(engine_class: Resource) -> Engine:
        client = connections.client(settings_of(engine_class), engine_class.key.name, means.on_call)
        return PersonalizeEngine(engine_class, client, timers, polling)

    def in_cluster(engine_class: Resource) -> Engine:
        return InClusterEngine(
            engine_class,
            Cluster(means.api, engine_class.key.name, settings.namespaces),
            cluster_id=means.cluster(),
            time=time.monotonic,
            credentials=Credentials(means.key()),
        )

    makers = {EngineName.PERSONALIZE: personalize, EngineName.IN_CLUSTER: in_cluster}

    def make(engine_class: Resource) -> Engine:
        if engine_class.spec is None:
            raise ValueError(f"the spec can't be read: {engine_class.problem}")
        return makers[engine_class.spec.engine](engine_class)

    return make


def _add_flag(parser: argparse.ArgumentParser, name: str, field: FieldInfo) -> None:
    flag = f"--{name.replace('_', '-')}"
    text = " ".join((field.description or "").split()).replace("%", "%%")
    if field.annotation is bool:
        parser.add_argument(
            flag, action=argparse.BooleanOptionalAction, default=None, help=text, dest=name
        )
        return
    default = field.get_default(call_default_factory=False)
    shown = f" (default {default})" if default not in {None, ()} and not field.is_required() else ""
    parser.add_argument(flag, default=None, help=text + shown, dest=name, metavar=_metavar(field))


def _metavar(field: FieldInfo) -> str:
    if field.annotation is float:
        return "SECONDS"
    if field.annotation is int:
        return "N"
    return "NAMES" if get_origin(field.annotation) is tuple else "TEXT"
