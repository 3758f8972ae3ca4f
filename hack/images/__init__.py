"""Container images for the node: the project's own from its Dockerfile, and Redis.

Each is an archive in the cache, keyed by the content that goes into it, so an unchanged image costs
nothing. Docker builds where it runs, with the Dockerfile's own base image; buildah elsewhere, with
this machine as the base, which needs neither a registry nor the internet.

``uv run python -m hack.images`` builds all and prints where they are.
"""

from collections.abc import Mapping

from hack.cache import Say, say_with_seconds
from hack.images.project import project_image
from hack.images.redis import redis_image
from hack.images.store import Image

__all__ = ["Image", "Images", "built_images", "class_settings"]

Images = Mapping[str, Image]
"""Images by the names that tools and tests call them."""


def built_images(say: Say | None = None) -> Images:
    """Return all images, each built unless it is there.

    Raises:
        AssetError: one can't be built; the text holds the end of what the build wrote.
    """
    say = say or say_with_seconds()
    return {
        "operator": project_image("operator", say),
        "engine": project_image("engine", say),
        "redis": redis_image(say),
    }


def class_settings(images: Images) -> dict[str, str]:
    """Return the ``images`` of an EngineClass on a node that has them already."""
    return {
        "engine": images["engine"].reference,
        "valkey": images["redis"].reference,
        "pullPolicy": "Never",
    }
