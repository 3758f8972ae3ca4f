"""Files in a bucket of Amazon S3 or of anything that speaks its API: MinIO, Ceph, Garage.

Only what those have in common is used: path-style addresses at an endpoint of its own, no trailing
checksums, conditional writes of small files.
"""

import io
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import boto3
from boto3.exceptions import S3UploadFailedError
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ResponseStreamingError,
)
from typing_extensions import override

from reco.storage.port import AccessDenied, Entry, NotFound, StorageError, Unavailable
from reco.workload.tasks import S3

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_BLOCK: Final = 8 << 20
"""Bytes fetched at a time from a file that is read piece by piece."""
_BODY_ATTEMPTS: Final = 4
_DELETED_AT_ONCE: Final = 1000
_DENIED: Final = frozenset(
    {
        "401",
        "403",
        "AccessDenied",
        "AllAccessDisabled",
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "Forbidden",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
    }
)
_ABSENT: Final = frozenset(
    {"301", "404", "InvalidBucketName", "NoSuchBucket", "NoSuchKey", "NotFound"}
    | {"PermanentRedirect"}
)
_EXISTS: Final = frozenset({"412", "PreconditionFailed", "409", "ConditionalRequestConflict"})
_CREDENTIALS: Final = (CredentialRetrievalError, NoCredentialsError, PartialCredentialsError)


class S3Store:
    """An `ObjectStore` in a bucket, all keys below a prefix."""

    def __init__(self, s3: S3, client: "S3Client | None" = None) -> None:
        """Name bucket and prefix; credentials are the ambient ones. Nothing is called yet."""
        self._bucket = s3.bucket
        self._prefix = f"{s3.prefix.strip('/')}/" if s3.prefix.strip("/") else ""
        self._client = client or client_of(s3)

    @property
    def location(self) -> str:
        """Where the keys begin."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def open(self, key: str) -> BinaryIO:
        """Open a file; a change of it while it is read is noticed and `Unavailable`."""
        entry = self.find(key)
        if entry is None:
            raise NotFound(f"{self._name(key)} does not exist. Check the bucket and the key")

        def fetch(start: int, end: int) -> bytes:
            return self._body(key, Range=f"bytes={start}-{end - 1}", IfMatch=f'"{entry.version}"')

        return cast("BinaryIO", io.BufferedReader(_Ranges(fetch, entry.size), _BLOCK))

    def get(self, key: str) -> bytes:
        """Return the content of a small file."""
        return self._body(key)

    def download(self, key: str, path: Path) -> None:
        """Copy a file of any size to a local one."""
        with self.open(key) as source, path.open("wb") as target:
            shutil.copyfileobj(source, target, _BLOCK)

    def put(self, key: str, content: bytes) -> None:
        """Write a small file."""
        with self._classed(key, "written"):
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=content)

    def upload(self, key: str, path: Path) -> None:
        """Copy a local file of any size, in parts if it is large."""
        with self._classed(key, "written"):
            try:
                self._client.upload_file(str(path), self._bucket, self._prefix + key)
            except S3UploadFailedError as error:
                raise (error.__context__ or error) from error

    def put_if_absent(self, key: str, content: bytes) -> bool:
        """Write a small file unless there is one."""
        with self._classed(key, "written"):
            try:
                self._client.put_object(
                    Bucket=self._bucket, Key=self._prefix + key, Body=content, IfNoneMatch="*"
                )
            except ClientError as error:
                if error.response["Error"]["Code"] in _EXISTS:
                    return False
                raise
        return True

    def replace(self, key: str, was: bytes, content: bytes) -> bool:
        """Write a small file if it still holds `was`, as surely as the server heeds If-Match."""
        bucket, name = self._bucket, self._prefix + key
        with self._classed(key, "written"):
            try:
                found = self._client.get_object(Bucket=bucket, Key=name)
                if found["Body"].read() != was:
                    return False
                self._client.put_object(
                    Bucket=bucket, Key=name, Body=content, IfMatch=found["ETag"]
                )
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code in _EXISTS or code == "NoSuchKey":
                    return False
                if code != "NotImplemented":
                    raise
                self._client.put_object(Bucket=bucket, Key=name, Body=content)
        return True

    def find(self, key: str) -> Entry | None:
        """Return what a list would say of a file."""
        with self._classed(key, "read"):
            try:
                found = self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
            except ClientError as error:
                # An answer to HEAD has no body, so a missing bucket looks like a missing file.
                if error.response["Error"]["Code"] in {"404", "NoSuchKey", "NotFound"}:
                    return None
                raise
        return Entry(key, found["ContentLength"], found["ETag"].strip('"'))

    def entries(self, folder: str) -> Iterator[Entry]:
        """List all files below a folder, a page of a thousand at a time."""
        below = self._prefix + (f"{folder.strip('/')}/" if folder.strip("/") else "")
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=below
        )
        with self._classed(folder, "listed"):
            for page in pages:
                for found in page.get("Contents", ()):
                    key = found["Key"]
                    if not key.endswith("/"):  # consoles make these to show an empty folder
                        version = found["ETag"].strip('"')
                        yield Entry(key.removeprefix(self._prefix), found["Size"], version)

    def delete(self, *keys: str) -> None:
        """Delete files, a thousand with a call."""
        if len(keys) == 1:
            with self._classed(keys[0], "deleted"):
                self._client.delete_object(Bucket=self._bucket, Key=self._prefix + keys[0])
            return
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            some = keys[start : start + _DELETED_AT_ONCE]
            with self._classed(some[0], "deleted"):
                answer = self._client.delete_objects(
                    Bucket=self._bucket,
                    Delete={
                        "Objects": [{"Key": self._prefix + key} for key in some],
                        "Quiet": True,
                    },
                )
                for failed in answer.get("Errors", ()):
                    raise ClientError({"Error": dict(failed)}, "DeleteObjects")  # type: ignore[typeddict-item] # Code and Message, as in others

    def _body(self, key: str, **options: Any) -> bytes:  # noqa: ANN401 - parameters of GetObject
        for attempt in range(1, _BODY_ATTEMPTS + 1):
            with self._classed(key, "read"):
                try:
                    found = self._client.get_object(
                        Bucket=self._bucket, Key=self._prefix + key, **options
                    )
                    return found["Body"].read()
                except (HTTPClientError, ResponseStreamingError):
                    # botocore tries requests again, but not the bodies of answers that broke off.
                    if attempt == _BODY_ATTEMPTS:
                        raise
        raise AssertionError  # the last attempt returned or raised

    def _name(self, key: str) -> str:
        return f"s3://{self._bucket}/{self._prefix}{key}"

    @contextmanager
    def _classed(self, key: str, done: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError, S3UploadFailedError) as error:
            raise _error(f"{self._name(key)} cannot be {done}", error) from error


class _Ranges(io.RawIOBase):
    """A remote file that fetches what is read of it."""

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        self._fetch = fetch
        self._size = size
        self._at = 0

    @override
    def readable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    @override
    def readinto(self, buffer: Any) -> int:
        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        content = self._fetch(self._at, end)
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


def client_of(s3: S3, credentials: Mapping[str, str] | None = None) -> "S3Client":
    """Return a client of an endpoint, Amazon's own by default.

    Args:
        s3: the endpoint.
        credentials: `AWS_ACCESS_KEY_ID` and its likes, instead of the ambient ones.

    Raises:
        NotFound: the endpoint is no address.
    """
    given = credentials or {}
    config = Config(
        # Trailing checksums are newer than many servers; what we keep has digests of its own.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"} if s3.endpoint_url else {},
        retries={"mode": "standard", "max_attempts": 5},
        connect_timeout=5,
        read_timeout=30,
        max_pool_connections=16,
    )
    try:
        return boto3.session.Session().client(
            "s3",
            endpoint_url=s3.endpoint_url,
            region_name=s3.region,
            aws_access_key_id=given.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=given.get("AWS_SECRET_ACCESS_KEY"),
            aws_session_token=given.get("AWS_SESSION_TOKEN"),
            config=config,
        )
    except ValueError as error:
        raise NotFound(
            f"{s3.endpoint_url} is no S3 endpoint: {error}. Give one such as "
            f"https://minio.storage.svc:9000"
        ) from error


def _error(what: str, error: Exception) -> StorageError:
    if isinstance(error, ClientError):
        described = error.response["Error"]
        code = str(described.get("Code", ""))
        reason = f"{what}: {code}: {described.get('Message') or 'no message'}"
        if code in _DENIED:
            return AccessDenied(
                f"{reason}. Check the credentials, and allow them s3:ListBucket on the bucket "
                f"and s3:GetObject, for storage also s3:PutObject and s3:DeleteObject, below it"
            )
        if code in _ABSENT:
            return NotFound(f"{reason}. Check bucket, key, endpoint and region")
        return Unavailable(f"{reason}. Trying again may help")
    reason = f"{what}: {error}"
    if isinstance(error, _CREDENTIALS):
        return AccessDenied(
            f"{reason}. Give the pod a service account with a role, or a Secret with "
            f"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    if isinstance(error, ParamValidationError):
        return NotFound(f"{reason}. Check bucket and key")
    return Unavailable(f"{reason}. Check the endpoint; trying again may help")
