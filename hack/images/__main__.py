"""Builds all images: ``uv run python -m hack.images``."""

import sys

from hack.cache import AssetError
from hack.images import built_images


def main() -> int:
    """Print name and archive of each image; what is done meanwhile goes to standard error."""
    try:
        for image in built_images().values():
            print(f"{image.reference}\t{image.archive}")
    except AssetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
