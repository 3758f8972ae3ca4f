"""Builds the targets of the project's Dockerfile, by Docker where it runs, else by buildah."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, Literal

from hack import slim
from hack.cache import AssetError, Say, say_with_seconds
from hack.commands import run
from hack.images import root_folder
from hack.images.buildah import Buildah
from hack.images.store import ROOT, Image, digest, stored

Target = Literal["operator", "engine"]
# What the Dockerfile takes from the project, and what decides the base image.
SOURCES: Final = (
    "Dockerfile", ".dockerignore", "pyproject.toml", "uv.lock", "README.md", "LICENSE",
    "hack/slim.py", "hack/images/root_folder.py", "operator",
)  # fmt: skip


def project_image(target: Target, say: Say | None = None) -> Image:
    """Return the image of a target, built unless it is there.

    Raises:
        AssetError: it can't be built; the text holds the end of what the build wrote.
    """
    say = say or say_with_seconds()

    def build(image: Image) -> None:
        if has_docker():
            _by_docker(target, image)
        else:
            _by_buildah(target, image, say)

    key = digest([sys.version], [ROOT / name for name in SOURCES])
    return stored(f"reco-{target}", key, build, say)


def has_docker() -> bool:
    """Return whether a Docker daemon answers."""
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def _by_docker(target: Target, image: Image) -> None:
    run(["docker", "build", "--target", target, "--tag", image.reference, str(ROOT)])
    run(["docker", "save", "--output", str(image.archive), image.reference])


def _by_buildah(target: Target, image: Image, say: Say) -> None:
    uv = shutil.which("uv")
    if uv is None:
        raise AssetError("building an image needs uv on PATH; the project's scripts install it")
    _fill_uv_cache(uv, target)
    cache = run([uv, "cache", "dir"]).strip()
    with Buildah(say) as buildah, tempfile.TemporaryDirectory(prefix="reco-image-") as tools:
        shutil.copy2(Path(uv).resolve(), Path(tools) / "uv")
        options = (
            "--isolation", "chroot", "--network", "host", "--layers",
            "--build-arg", f"BASE_IMAGE={_base_image(buildah, say)}",
            "--build-arg", "UV_OFFLINE=1",
            "--volume", f"{tools}:/opt/build-tools:ro",
            "--volume", f"{cache}:/root/.cache/uv",
            "--ignorefile", str(ROOT / ".dockerignore"),
        )  # fmt: skip
        # The environment gets a name too, so that its layers stay for the next build.
        environment = f"{target}-environment"
        for stage, name in ((environment, f"localhost/{environment}"), (target, image.reference)):
            buildah("build", *options, "--target", stage, "--tag", name, str(ROOT))
        buildah.push(image)


def _fill_uv_cache(uv: str, target: Target) -> None:
    """Have uv fetch all that the build will ask for, which it then finds without a network."""
    with tempfile.TemporaryDirectory(prefix="reco-image-") as folder:
        command = [uv, "sync", "--quiet", "--locked", "--no-dev", "--no-editable"]
        python = f"{sys.base_prefix}/bin/python3"
        environment = {"UV_PROJECT_ENVIRONMENT": folder, "UV_PYTHON": python}
        run([*command, "--extra", target], cwd=ROOT, env=environment)


def _base_image(buildah: Buildah, say: Say) -> str:
    """Return the reference of the base made from this machine's Python, made unless it is there."""
    key = digest([sys.version, sys.base_prefix], [Path(root_folder.__file__), Path(slim.__file__)])
    reference = f"localhost/reco-base:{key}"
    if not buildah.has(reference):
        buildah("rmi", "--all", "--force")  # whatever is there was made on another base
        with tempfile.TemporaryDirectory(prefix="reco-image-") as folder:
            root = Path(folder) / "root"
            root_folder.write_common(root)
            packages = root_folder.unpack(["busybox-static", "libgomp1"], root, say)
            root_folder.write_busybox(packages, root)
            root_folder.copy(next(packages.glob("usr/lib/*/libgomp.so.1")), packages, root)
            root_folder.write_python(root)
            buildah.commit(root, reference)
    return reference
