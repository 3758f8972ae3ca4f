"""Coroutines in virtual time, and resources to play with."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

import pytest

from reco.api.vocabulary import API_VERSION
from tests.support.virtual_loop import VirtualLoop

T = TypeVar("T")


Run = Callable[[Callable[[], Coroutine[Any, Any, T]]], T]


@pytest.fixture
def run() -> Run[Any]:
    """Run a coroutine function in virtual time."""

    def run_(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(main())

    return run_


Body = dict[str, Any]


@pytest.fixture
def body() -> Callable[..., Body]:
    """Make API objects of our kinds."""

    def make(
        kind: str,
        name: str,
        version: int = 1,
        *,
        spec: Mapping[str, Any] | None = None,
        status: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> Body:
        return {
            "apiVersion": API_VERSION,
            "kind": kind,
            "metadata": {
                "name": name,
                "namespace": "" if kind == "EngineClass" else "shop",
                "uid": f"uid-{name}",
                "resourceVersion": str(version),
                "generation": 1,
                "creationTimestamp": "2026-01-01T00:00:00Z",
                **metadata,
            },
            "spec": SPECS.get(kind, {}) if spec is None else spec,
            "status": status or {},
        }

    return make


SPECS: dict[str, Mapping[str, Any]] = {
    "EngineClass": {"engine": "Personalize", "personalize": {"region": "eu-west-1"}},
    "DatasetGroup": {"engineClassName": "aws"},
    "Solution": {"datasetGroupRef": {"name": "group"}, "recipe": "aws-user-personalization-v2"},
    "SolutionVersion": {"solutionRef": {"name": "solution"}},
    "Campaign": {"solutionRef": {"name": "solution"}},
    "EventTracker": {"datasetGroupRef": {"name": "group"}},
    "Dataset": {
        "datasetGroupRef": {"name": "group"},
        "schemaRef": {"name": "schema"},
        "type": "Interactions",
    },
}
