"""Builds an image of Debian's Redis that takes arguments as the official ones of Valkey do."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from hack import debian, root_folder
from hack.cache import Say, say_with_seconds
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

    return stored("redis", digest([Path(__file__), Path(root_folder.__file__)]), build, say)


def _write(root: Path, say: Say) -> None:
    packages = root.with_name("packages")
    debian.unpack(PACKAGES, packages, say)
    root_folder.write_places(root)
    _write_busybox(next(packages.glob("**/bin/busybox")), root)
    for program in ("server", "cli"):
        shutil.copy2(packages / f"usr/bin/redis-{program}", root / "usr/bin")
        (root / f"usr/bin/valkey-{program}").symlink_to(f"redis-{program}")
    programs = root.glob("usr/bin/redis-*")
    root_folder.write_linked(programs, root, library_path=packages.glob("usr/lib/*-linux-gnu"))
    (root / "data").mkdir()
    (root / "data").chmod(0o1777)
    entrypoint = root / "usr/local/bin/docker-entrypoint.sh"
    entrypoint.write_text(ENTRYPOINT)
    entrypoint.chmod(0o755)


def _write_busybox(busybox: Path, root: Path) -> None:
    """Add a shell and what else busybox is, under the names of its programs."""
    shutil.copy2(busybox, root / "bin/busybox")
    listed = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True)
    for name in listed.stdout.split():
        if not (root / "bin" / name).exists():
            (root / "bin" / name).symlink_to("busybox")
