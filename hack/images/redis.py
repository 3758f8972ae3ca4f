"""Builds an image of Debian's Redis that takes arguments as the official ones of Valkey do."""

import tempfile
from pathlib import Path
from typing import Final

from hack.cache import Say, say_with_seconds
from hack.images import root_folder
from hack.images.buildah import Buildah
from hack.images.store import Image, digest, stored

# The server is a link into the second one.
PACKAGES: Final = (
    "redis-server", "redis-tools", "libatomic1", "libjemalloc2", "liblzf1", "busybox-static",
)  # fmt: skip
# Options alone, or a file of them, go to the server.
ENTRYPOINT: Final = """\
#!/bin/sh
case "${1:-}" in -*|*.conf) set -- redis-server "$@" ;; esac
exec "$@"
"""


def redis_image(say: Say | None = None) -> Image:
    """Return the image, built unless it is there.

    Its programs go by Valkey's names too. Data is in ``/data``.

    Raises:
        AssetError: it can't be built.
    """
    say = say or say_with_seconds()

    def build(image: Image) -> None:
        with Buildah(say) as buildah, tempfile.TemporaryDirectory(prefix="reco-image-") as folder:
            root = Path(folder) / "root"
            _write(root, say)
            settings = (
                *("--entrypoint", '["docker-entrypoint.sh"]', "--cmd", "redis-server"),
                *("--user", "65532:65532", "--workingdir", "/data", "--port", "6379"),
            )
            buildah.commit(root, image.reference, settings)
            buildah.push(image)

    return stored("redis", digest([Path(__file__).parent]), build, say)


def _write(root: Path, say: Say) -> None:
    root_folder.write_common(root)
    packages = root_folder.unpack(PACKAGES, root, say)
    root_folder.write_busybox(packages, root)
    for program in ("server", "cli"):
        source = packages / f"usr/bin/redis-{program}"
        root_folder.copy(source, packages, root)
        (root / f"usr/bin/valkey-{program}").symlink_to(f"redis-{program}")
        root_folder.write_linked([source], root, packages=packages)
    (root / "data").mkdir()
    (root / "data").chmod(0o1777)
    entrypoint = root / "usr/local/bin/docker-entrypoint.sh"
    entrypoint.write_text(ENTRYPOINT)
    entrypoint.chmod(0o755)
