"""Imports from S3, or from anything that speaks its protocol."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from reco.emulator.ports import ObjectAccessError, ObjectStoreError

_DENIED = frozenset({"AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch"})


class S3Objects:
    """Reads from S3 with the ambient credentials."""

    def __init__(self, endpoint_url: str | None = None, region: str = "us-east-1") -> None:
        config = Config(connect_timeout=2, read_timeout=30, retries={"total_max_attempts": 2})
        self._client: Any = boto3.client(
            "s3", endpoint_url=endpoint_url, region_name=region, config=config
        )

    def read(self, location: str) -> Sequence[tuple[str, bytes]]:
        """Read the object, or every object below the prefix, in key order."""
        parts = urlsplit(location)
        if parts.scheme != "s3" or not parts.netloc:
            raise ObjectStoreError(f"{location} is not of the form s3://bucket/key")
        bucket, key = parts.netloc, parts.path.lstrip("/")
        try:
            return [(one, self._get(bucket, one)) for one in self._keys(bucket, key)]
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in _DENIED:
                raise ObjectAccessError(f"{location}: {code}") from error
            raise ObjectStoreError(f"{location}: {code}") from error
        except BotoCoreError as error:
            raise ObjectStoreError(f"{location}: {error}") from error

    def _keys(self, bucket: str, key: str) -> list[str]:
        prefix = key if not key or key.endswith("/") else f"{key}/"
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
        found = [one["Key"] for page in pages for one in page.get("Contents", ()) if one["Size"]]
        if key in found:
            return [key]
        return sorted(one for one in found if one.startswith(prefix))

    def _get(self, bucket: str, key: str) -> bytes:
        body: bytes = self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
        return body
