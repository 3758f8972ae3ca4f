"""Names: of external objects, of children, and the tags that say whose an object is."""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime

from reco.api.resource import Key, Resource

ECHO_LIMIT = 256
"""Characters of an annotation that a status repeats."""
EXTERNAL_NAME_LIMIT = 63
"""Personalize's limit for every name."""

TAG_CLUSTER = "reco.dev/cluster"
TAG_NAMESPACE = "reco.dev/namespace"
TAG_NAME = "reco.dev/name"
TAG_UID = "reco.dev/uid"
OWNERSHIP_TAGS = (TAG_CLUSTER, TAG_NAMESPACE, TAG_NAME, TAG_UID)

_OWNER_PARTS = 3
_KUBERNETES_NAME_LIMIT = 253
_KUBERNETES_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def external_name(resource: Resource) -> str:
    """Return the name of a resource in its engine.

    `movies` in namespace `shop` is `shop_movies`: Kubernetes allows no underscore and Personalize
    does, so no two resources can meet. A dot, which Personalize does not allow, becomes two
    underscores. What is too long is cut, with a hash of the full name at the end.
    """
    override = getattr(resource.spec, "external_name", None)
    if override is not None:
        return str(override)
    return mapped_name(resource.key)


def mapped_name(key: Key) -> str:
    """Return the engine's name for a key, where no `externalName` is given."""
    name = f"{key.namespace}_{key.name}".replace(".", "__")
    return shorten(name, EXTERNAL_NAME_LIMIT)


def has_own_name(resource: Resource) -> bool:
    """Whether no other namespace can have derived a resource's external name.

    The name of a resource in a namespace with a long name may be cut before the underscore.
    """
    name = external_name(resource)
    derived = mapped_name(resource.key)
    return name == derived or name.startswith(f"{resource.key.namespace}_")


def shorten(name: str, limit: int) -> str:
    """Return a name of at most `limit` characters; a cut one ends with a hash of the whole."""
    if len(name) <= limit:
        return name
    suffix = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: limit - 9].rstrip('-_.')}-{suffix}"


def scheduled_child(parent: str, scheduled: datetime) -> str:
    """Return the name of the child for a scheduled time: the minute since the epoch at the end."""
    return child(parent, str(int(scheduled.timestamp()) // 60))


def triggered_child(parent: str, trigger: str) -> str:
    """Return the name of the child for a trigger that has no time: a hash of it at the end."""
    return child(parent, hashlib.sha256(trigger.encode()).hexdigest()[:8])


def child(parent: str, suffix: str) -> str:
    """Return `<parent>-<suffix>`, cut to what Kubernetes allows."""
    suffix = re.sub(r"[^a-z0-9.-]", "-", suffix.lower()).strip("-.")
    return f"{shorten(parent, _KUBERNETES_NAME_LIMIT - 1 - len(suffix))}-{suffix}"


def usable_name(name: str) -> bool:
    """Whether a Kubernetes object can have a name (an RFC 1123 subdomain)."""
    return len(name) <= _KUBERNETES_NAME_LIMIT and _KUBERNETES_NAME.fullmatch(name) is not None


def echo(text: str) -> str:
    """Return a user's text as a status repeats it: whole, or cut with a hash of the whole."""
    if len(text) <= ECHO_LIMIT:
        return text
    return f"{text[: ECHO_LIMIT - 17]}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def ownership_tags(resource: Resource, cluster: str) -> dict[str, str]:
    """Return the tags that say whose an external object is."""
    return {
        TAG_CLUSTER: cluster,
        TAG_NAMESPACE: resource.key.namespace,
        TAG_NAME: resource.key.name,
        TAG_UID: resource.uid,
    }


def owner_in(tags: Mapping[str, str]) -> str | None:
    """Return `cluster/namespace/name` of the owner that tags name, or None without an owner."""
    if TAG_CLUSTER not in tags:
        return None
    return "/".join(tags.get(tag, "") for tag in (TAG_CLUSTER, TAG_NAMESPACE, TAG_NAME))


def owner_key(text: str | None, kind: str) -> Key | None:
    """Return the resource of a kind that `cluster/namespace/name` names, or None for no such."""
    parts = (text or "").split("/")
    return Key(kind, parts[1], parts[2]) if len(parts) == _OWNER_PARTS and all(parts) else None


def user_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags without those that say whose an object is, and without AWS's own."""
    return {
        key: value
        for key, value in tags.items()
        if key not in OWNERSHIP_TAGS and not key.startswith("aws:")
    }
