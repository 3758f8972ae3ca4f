"""An S3 for tests and the quickstart: moto's server in a process of its own.

It keeps objects in memory and accepts any credentials. Any other S3 endpoint can take its place.
``uv run python -m hack.s3 --bucket data`` runs one until Ctrl-C.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Final

import boto3
from typing_extensions import override

from hack.processes import LOOPBACK, Process, ProcessError, Server, free_port, heed_signals

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION: Final = "us-east-1"
READY_SECONDS: Final = 60.0


class S3Server(Server):
    """A running S3 between ``start`` and ``stop``, or within a ``with`` block.

    Attributes:
        url: where it answers.
        environment: variables that point boto3 and the AWS command line at it, for S3 alone.
    """

    def __init__(
        self,
        log: Path,
        *,
        port: int | None = None,
        region: str = REGION,
        address: str = LOOPBACK,
    ) -> None:
        """Take ``port`` or choose a free one; nothing runs yet.

        Args:
            log: what it writes.
            port: where it listens.
            region: of its buckets.
            address: of this machine, where it listens; pods do not reach loopback.
        """
        self._address = address
        self._log = log
        self._region = region
        self._port = port or free_port()
        self._process: Process | None = None
        self.url = f"http://{address}:{self._port}"
        self.environment = {
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": region,
        }

    @override
    def start(self) -> None:
        """Start and return once it answers.

        Raises:
            ProcessError: it did not become ready; the text holds the end of its log.
        """
        command = [sys.executable, "-m", "moto.server", "-H", self._address, "-p", str(self._port)]
        # Its name in a cluster must not be taken for that of a bucket.
        paths_only = {"S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true"}
        self._process = Process("moto", command, log=self._log, env=paths_only)
        try:
            self._process.wait_ready(f"{self.url}/moto-api/", timeout=READY_SECONDS)
        except BaseException:
            self.stop()
            raise

    @override
    def stop(self) -> None:
        """End it; what it stored is gone."""
        if self._process:
            self._process.stop()
        self._process = None

    def client(self) -> "S3Client":
        """Return a boto3 client of it."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=self._region,
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
        )

    def create_bucket(self, name: str) -> None:
        """Make a bucket; that it exists already is fine."""
        if self._region == REGION:  # the one region that must not be named
            self.client().create_bucket(Bucket=name)
        else:
            where = {"LocationConstraint": self._region}
            self.client().create_bucket(Bucket=name, CreateBucketConfiguration=where)  # type: ignore[arg-type]  # any region

    def upload(self, bucket: str, key: str, content: bytes | str | Path) -> str:
        """Store text, bytes or a file's content under ``key`` and return its s3:// address."""
        if isinstance(content, Path):
            self.client().upload_file(str(content), bucket, key)
        else:
            body = content.encode() if isinstance(content, str) else content
            self.client().put_object(Bucket=bucket, Key=key, Body=body)
        return f"s3://{bucket}/{key}"


def main() -> int:
    """Run an S3 until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(description="Run an in-memory S3 on loopback until Ctrl-C.")
    parser.add_argument("--bucket", action="append", default=[], help="make it; may be repeated")
    options = parser.parse_args()
    heed_signals()
    with tempfile.TemporaryDirectory(prefix="reco-s3-") as folder:
        started = time.monotonic()
        try:
            with S3Server(Path(folder) / "moto.log") as server:
                for bucket in options.bucket:
                    server.create_bucket(bucket)
                print(f"ready after {time.monotonic() - started:.1f} s; Ctrl-C ends it")
                for name, value in server.environment.items():
                    print(f"  export {name}={value}", flush=True)
                Event().wait()
        except KeyboardInterrupt:
            print("stopped")
        except ProcessError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
