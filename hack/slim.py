"""Removes from an installed environment what no container of ours uses; part of the Dockerfile.

``python slim.py SITE_PACKAGES``. A pattern that matches nothing is fine: packages come and go with
the target, and wheels differ from version to version. What must work afterwards is tested on the
finished images.
"""

import shutil
import sys
from pathlib import Path

# Files and folders by glob, relative to site-packages.
UNUSED = (
    # Tests of others.
    "numpy/**/tests",
    "scipy/**/tests",
    "pyarrow/tests",
    "redis/**/tests",
    # For those who compile against them.
    "numpy/_core/include",
    "numpy/_core/lib",
    "pyarrow/include",
    "pyarrow/src",
    "**/*.pxd",
    "**/*.pxi",
    "**/*.pyi",
    "**/*.pyx",
    "**/*.c",
    "**/*.h",
    # Network protocols, file systems and formats of Arrow beyond local files and Parquet.
    "pyarrow/libarrow_flight.so*",
    "pyarrow/libarrow_s3.so*",
    "pyarrow/_flight*",
    "pyarrow/_s3fs*",
    "pyarrow/_gcsfs*",
    "pyarrow/_azurefs*",
    "pyarrow/_hdfs*",
    "pyarrow/_orc*",
    "pyarrow/_substrait*",
    "pyarrow/_parquet_encryption*",
    # Copies under names that only a linker asks for.
    "pyarrow/libarrow_python.so",
    "pyarrow/libarrow_python.so.*.*",
    # GPU code that needs CUDA.
    "implicit/gpu/*.so",
)
# Services of AWS that we call, or that finding credentials does; the other 400 go.
AWS_SERVICES = (
    "personalize",
    "personalize-events",
    "personalize-runtime",
    "s3",
    "signin",
    "sso",
    "sso-oidc",
    "sts",
)


def main(site_packages: Path) -> None:
    """Remove what is listed above."""
    for pattern in UNUSED:
        for path in list(site_packages.glob(pattern)):
            remove(path)
    for path in site_packages.glob("botocore/data/*"):
        if path.is_dir() and path.name not in AWS_SERVICES:
            remove(path)


def remove(path: Path) -> None:
    """Remove a file or a folder with all in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
