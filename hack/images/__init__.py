"""Container images for the node: the project's own from its Dockerfile, and Redis.

Each is an archive in the cache, keyed by the content that goes into it, so an unchanged image costs
nothing. Docker builds where it runs, with the Dockerfile's own base image; buildah elsewhere, on a
base made from this machine's Python, which needs neither a registry nor the internet.

``uv run python -m hack.images`` builds all and prints where they are.
"""

from hack.images.project import project_image
from hack.images.redis import redis_image
from hack.images.store import Image

__all__ = ["Image", "project_image", "redis_image"]
