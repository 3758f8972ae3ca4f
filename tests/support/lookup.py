"""A cluster for decisions: a `reco.decide.references.Lookup` that knows a few resources."""

from reco.api.resource import Key, Resource
from reco.decide import references


class Cluster:
    """Knows a few resources."""

    def __init__(self, *resources: Resource) -> None:
        self._resources = {one.key: one for one in resources}

    def get(self, key: Key) -> Resource | None:
        return self._resources.get(key)

    def all(self, kind: str, namespace: str | None = None) -> list[Resource]:
        return [
            one
            for key, one in self._resources.items()
            if key.kind == kind and namespace in {None, key.namespace}
        ]

    def referring(self, key: Key, kind: str | None = None) -> list[Resource]:
        return [
            one
            for one in self._resources.values()
            if key in references.targets(one) and kind in {None, one.key.kind}
        ]
