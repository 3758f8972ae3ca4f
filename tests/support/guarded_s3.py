"""An S3 that asks who is there: moto's, with its IAM in force."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import boto3
from typing_extensions import override

from hack.s3 import REGION, S3Server

READER = "reader"


class GuardedS3(S3Server):
    """An S3 for its owner, and for a reader who may what `allow` said last: nothing at first."""

    def __init__(self, log: Path, *, address: str) -> None:
        super().__init__(log, address=address)
        self.reader: dict[str, str] = {}
        """The reader's credentials, by the names of their variables."""

    @override
    def start(self) -> None:
        super().start()
        try:
            self.environment |= self._user("owner")
            self._allow("owner", "*")
            self.reader = self._user(READER)
            self._enforce()
        except BaseException:
            self.stop()
            raise

    def allow(self, *actions: str) -> None:
        """Let the reader do this, such as `s3:GetObject`, and nothing else."""
        self._allow(READER, *actions)

    def _user(self, name: str) -> dict[str, str]:
        iam = self._iam()
        iam.create_user(UserName=name)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }

    def _allow(self, user: str, *actions: str) -> None:
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self._iam().put_user_policy(UserName=user, PolicyName="may", PolicyDocument=policy)

    def _enforce(self) -> None:
        after = urllib.request.Request(
            f"{self.url}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"}
        )
        with urllib.request.urlopen(after, timeout=10):
            pass

    def _iam(self) -> Any:
        return boto3.client(
            "iam",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
        )
