"""The emulator seen from outside, and estates to build on it."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from reco.emulator.conformance import watch
from reco.emulator.core import Emulator
from reco.emulator.testing import InstantTrainer, MemoryObjects

REGION = "eu-west-1"
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/personalize-s3"
RECIPES = "arn:aws:personalize:::recipe/"
LONGEST = 4 * 3600


def avro(*fields: dict[str, Any], name: str = "Interactions") -> str:
    return json.dumps({"type": "record", "name": name, "fields": list(fields), "version": "1.0"})


def column(name: str, *types: str, **extra: Any) -> dict[str, Any]:
    return {"name": name, "type": list(types) if len(types) > 1 else types[0], **extra}


INTERACTIONS = avro(
    column("USER_ID", "string"),
    column("ITEM_ID", "string"),
    column("TIMESTAMP", "long"),
    column("EVENT_TYPE", "string", "null"),
)
ITEMS = avro(column("ITEM_ID", "string"), column("GENRES", "string", "null"), name="Items")


def interactions_csv(users: int = 40, each: int = 30) -> bytes:
    rows = ["USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE"]
    rows += [
        f"{user},{(user * 7 + k * k) % 50},{1_600_000_000 + k * 60},watch"
        for user in range(users)
        for k in range(each)
    ]
    return "\n".join(rows).encode()


@dataclass
class Service:
    """The emulator, seen from outside: three boto3 clients, the admin API, and its innards."""

    url: str
    emulator: Emulator
    trainer: InstantTrainer
    objects: MemoryObjects
    account: str = ACCOUNT
    region: str = REGION
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, name: str) -> Any:
        if name not in self.clients:
            self.clients[name] = boto3.client(
                name,  # type: ignore[call-overload] # any of the three
                endpoint_url=self.url,
                region_name=self.region,
                aws_access_key_id=self.account,
                aws_secret_access_key="secret",
                config=Config(retries={"total_max_attempts": 1}),
            )
            watch(self.clients[name])
        return self.clients[name]

    @property
    def control(self) -> Any:
        return self.client("personalize")

    @property
    def runtime(self) -> Any:
        return self.client("personalize-runtime")

    @property
    def events(self) -> Any:
        return self.client("personalize-events")

    def elsewhere(self, *, account: str = ACCOUNT, region: str = REGION) -> "Service":
        return Service(self.url, self.emulator, self.trainer, self.objects, account, region)

    def pass_time(self, seconds: float = LONGEST) -> None:
        self.admin("POST", "/_reco/clock", {"advanceSeconds": seconds})

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        return self.http(method, path, body)[2]

    def http(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], Any]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
        request = urllib.request.Request(
            self.url + path, data=raw or None, method=method, headers=headers or {}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                content = answer.read()
                return answer.status, dict(answer.headers.items()), json.loads(content or b"null")
        except urllib.error.HTTPError as error:
            content = error.read()
            return error.code, dict(error.headers.items()), json.loads(content or b"null")

    def raw(self, operation: str, **parameters: Any) -> tuple[dict[str, str], bytes]:
        """Send a control-plane request and give headers and the untouched body of its answer."""
        request = urllib.request.Request(
            self.url,
            data=json.dumps(parameters).encode(),
            headers={
                "X-Amz-Target": f"AmazonPersonalize.{operation}",
                "Content-Type": "application/x-amz-json-1.1",
                "Authorization": self.authorization(),
            },
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return {k.lower(): v for k, v in answer.headers.items()}, answer.read()

    def raw_json(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Give what ``raw`` does, parsed: no SDK has dropped members of it."""
        answer: dict[str, Any] = json.loads(self.raw(operation, **parameters)[1])
        return answer

    def authorization(self) -> str:
        scope = f"{self.account}/20260101/{self.region}/personalize/aws4_request"
        return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"

    # an estate, each part ACTIVE when it returns

    def group(self, name: str = "movies", **more: Any) -> str:
        arn: str = self.control.create_dataset_group(name=name, **more)["datasetGroupArn"]
        self.pass_time(30)
        return arn

    def schema(self, name: str = "interactions", text: str = INTERACTIONS) -> str:
        arn: str = self.control.create_schema(name=name, schema=text)["schemaArn"]
        return arn

    def dataset(
        self, group: str, schema: str, kind: str = "Interactions", name: str = "data"
    ) -> str:
        arn: str = self.control.create_dataset(
            name=name, schemaArn=schema, datasetGroupArn=group, datasetType=kind
        )["datasetArn"]
        self.pass_time(30)
        return arn

    def imported(
        self, dataset: str, name: str = "import", content: bytes = b"", **more: Any
    ) -> str:
        location = f"s3://bucket/{name}.csv"
        self.objects.objects[location] = content or interactions_csv()
        arn: str = self.control.create_dataset_import_job(
            jobName=name,
            datasetArn=dataset,
            dataSource={"dataLocation": location},
            roleArn=ROLE,
            **more,
        )["datasetImportJobArn"]
        self.pass_time(330)
        return arn

    def filled_group(self, name: str = "movies") -> str:
        group = self.group(name)
        self.imported(self.dataset(group, self.schema(f"{name}-interactions")), f"{name}-import")
        return group

    def solution(
        self,
        group: str,
        name: str = "for-you",
        recipe: str = "aws-user-personalization",
        **more: Any,
    ) -> str:
        arn: str = self.control.create_solution(
            name=name,
            datasetGroupArn=group,
            recipeArn=RECIPES + recipe,
            **{"performAutoTraining": False, **more},
        )["solutionArn"]
        return arn

    def version(self, solution: str, **more: Any) -> str:
        arn: str = self.control.create_solution_version(solutionArn=solution, **more)[
            "solutionVersionArn"
        ]
        self.pass_time()
        return arn

    def campaign(self, version: str, name: str = "home", **more: Any) -> str:
        arn: str = self.control.create_campaign(name=name, solutionVersionArn=version, **more)[
            "campaignArn"
        ]
        self.pass_time(600)
        return arn

    def tracker(self, group: str, name: str = "tracker") -> tuple[str, str]:
        answer = self.control.create_event_tracker(name=name, datasetGroupArn=group)
        self.pass_time(30)
        return answer["eventTrackerArn"], answer["trackingId"]

    def serving(
        self, recipe: str = "aws-user-personalization", name: str = "movies"
    ) -> tuple[str, str]:
        """Give a dataset group and a campaign that answers."""
        group = self.filled_group(name)
        version = self.version(self.solution(group, f"{name}-solution", recipe))
        return group, self.campaign(version, f"{name}-campaign")


def refusal(function: Any, **parameters: Any) -> tuple[str, str, int]:
    """Give code, message and HTTP status of the refusal that a call must meet."""
    with pytest.raises(ClientError) as caught:
        function(**parameters)
    response: Any = caught.value.response
    error = response["Error"]
    return error["Code"], error["Message"], response["ResponseMetadata"]["HTTPStatusCode"]
