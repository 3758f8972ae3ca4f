"""This machine as the base image of a build: its programs and its Python mounted, none copied."""

import platform
import sys
import tempfile
from pathlib import Path
from typing import Final

from hack import debian, root_folder
from hack.cache import Say
from hack.images.buildah import Buildah
from hack.images.store import digest

# Python is where the official images have it; its own library may be meant for another place.
MOUNTED: Final = {
    "/usr": "/usr",
    "/usr/local": sys.base_prefix,
    "/etc/ssl": "/etc/ssl",
    "/var/lib/dpkg": "/var/lib/dpkg",
}
LIBRARIES: Final = ("--env", "LD_LIBRARY_PATH=/usr/local/lib")
MOUNTS: Final = tuple(f"--volume={here}:{there}:ro" for there, here in MOUNTED.items())
"""Options of a build on this base."""


def this_machine(buildah: Buildah, say: Say) -> str:
    """Return the reference of an image without content, made unless it is there.

    Raises:
        AssetError: this machine lacks a package that goes into images, and it can't be installed.
    """
    openmp = f"/usr/lib/{platform.machine()}-linux-gnu/libgomp.so.1"
    expected = {str(path): package for path, package in root_folder.EXPECTED.items()}
    debian.install({openmp: "libgomp1", **expected}, say)
    key = digest([sys.version, *MOUNTS], [Path(__file__), Path(root_folder.__file__)])
    reference = f"localhost/reco-base:{key}"
    if not buildah.has(reference):
        buildah("rmi", "--all", "--force")  # whatever is there was made on another base
        with tempfile.TemporaryDirectory(prefix="reco-image-") as folder:
            root_folder.write_places(Path(folder))
            buildah.commit(Path(folder), reference, LIBRARIES)
    return reference
