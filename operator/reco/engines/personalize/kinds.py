"""The table of kinds as the service knows them: one row says all that generic code needs."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reco.api.resource import Resource
from reco.decide.model import State
from reco.decide.references import References
from reco.engines.personalize import read, render
from reco.engines.personalize.render import Place, Rendering

Answer = Mapping[str, Any]
Parameters = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One kind.

    Operations are named after the kind, and `member` names its part of answers: `campaign` stands
    for `DescribeCampaign` with `campaignArn`, answering `campaign`, listed under `campaigns`.
    """

    kind: str
    member: str
    render: Callable[[Resource, References, Place], Rendering]
    read: Callable[[Answer, Answer], dict[str, Any]]
    """Description and wanted fields to comparable fields."""
    send: Callable[[Answer], Parameters]
    """Wanted fields to the parameters of creation."""
    read_update: Callable[[Answer, Answer], dict[str, Any]] | None = None
    """The latest update and wanted fields to comparable fields."""
    send_update: Callable[[Answer, Answer, Answer], Parameters] | None = None
    """Changed, wanted and observed fields to the parameters of an update."""
    noun: str | None = None
    """The kind's word in ARNs that end with the name; None where they end otherwise."""
    name_member: str = "name"
    taggable: bool = True
    deletable: bool = True
    """False for what goes only with its parent."""
    stop: str | None = None
    """The operation that stops a run."""
    runs: bool = False
    """Whether CREATE IN_PROGRESS means that a job is at work."""

    @property
    def arn_member(self) -> str:
        """The member that holds the ARN, in requests and answers."""
        return f"{self.member}Arn"

    @property
    def list_member(self) -> str:
        """The member of a list that holds the summaries."""
        return f"{self.member}s"

    @property
    def update_member(self) -> str:
        """The member of a description that holds the latest update."""
        return f"latest{self.kind}Update"

    def moves(self, answer: Answer) -> bool:
        """Whether what was described will change by itself, or is being updated."""
        latest = answer.get(self.update_member) or {}
        return bool({answer.get("status"), latest.get("status")} & TRANSITIONAL)

    def state(self, answer: Answer) -> State:
        """Translate the status of a description or summary.

        Raises:
            ValueError: for a status word that nobody has seen before.
        """
        status = answer.get("status", "ACTIVE")  # schemas have none
        state = _STATES.get(status)
        if state is None:
            raise ValueError(f"{answer.get(self.arn_member)} has the unknown status {status!r}")
        return State.RUNNING if self.runs and status == "CREATE IN_PROGRESS" else state


_STATES = {
    "CREATE PENDING": State.CREATING,
    "CREATE IN_PROGRESS": State.CREATING,
    "ACTIVE": State.ACTIVE,
    "CREATE FAILED": State.FAILED,
    "CREATE STOPPING": State.STOPPING,
    "CREATE STOPPED": State.STOPPED,
    "DELETE PENDING": State.DELETING,
    "DELETE IN_PROGRESS": State.DELETING,
    # An update shows in its own summary; a dataset's has also been seen at the top, while the
    # dataset goes on working.
    "UPDATE PENDING": State.ACTIVE,
    "UPDATE IN_PROGRESS": State.ACTIVE,
    "UPDATE FAILED": State.ACTIVE,
}
_UPDATE_STATES = {
    "ACTIVE": State.ACTIVE,
    "CREATE PENDING": State.CREATING,
    "CREATE IN_PROGRESS": State.CREATING,
    "CREATE FAILED": State.FAILED,
    "UPDATE PENDING": State.CREATING,
    "UPDATE IN_PROGRESS": State.CREATING,
    "UPDATE FAILED": State.FAILED,
}
TRANSITIONAL = frozenset(
    word for word in _STATES if word.endswith(("PENDING", "IN_PROGRESS", "STOPPING"))
)
"""Status words that change by themselves."""


def update_state(latest: Answer) -> State:
    """Translate the status of an update; the service uses CREATE words for some kinds.

    Raises:
        ValueError: for a status word that nobody has seen before.
    """
    state = _UPDATE_STATES.get(latest.get("status", "ACTIVE"))
    if state is None:
        raise ValueError(f"an update has the unknown status {latest['status']!r}")
    return state


def created(answer: Answer) -> datetime:
    """Return when something was made."""
    time: datetime = answer["creationDateTime"]
    return time


def updated(answer: Answer) -> datetime:
    """Return when something last changed."""
    time: datetime = answer.get("lastUpdatedDateTime", answer["creationDateTime"])
    return time


def _present(fields: Answer) -> Parameters:
    """Leave out what is not wanted, and the service's own defaults: false and empty."""
    return {
        name: value
        for name, value in fields.items()
        if value is not None and value is not False and value not in ({}, [])
    }


def _send_schema(fields: Answer) -> Parameters:
    return _present(fields) | {"schema": json.dumps(fields["schema"], separators=(",", ":"))}


def _send_solution(fields: Answer) -> Parameters:
    """Put the changeable parts back into the configuration."""
    parts = dict(fields)
    config = dict(parts.pop("solutionConfig"))
    if parts["eventsConfig"]["eventParametersList"]:
        config["eventsConfig"] = parts["eventsConfig"]
    if "autoTrainingConfig" in parts:
        config["autoTrainingConfig"] = parts.pop("autoTrainingConfig")
    del parts["eventsConfig"]
    # Left out, automatic training would be on.
    return _present(parts | {"solutionConfig": config}) | {
        "performAutoTraining": fields["performAutoTraining"]
    }


def _send_campaign(fields: Answer) -> Parameters:
    return _present(dict(fields) | {"campaignConfig": _present(fields["campaignConfig"])})


def _update_solution(changed: Answer, _: Answer, __: Answer) -> Parameters:
    flags = ("performAutoTraining", "performIncrementalUpdate")
    parameters = {name: changed[name] for name in flags if name in changed}
    config = {
        name: changed[name] for name in ("autoTrainingConfig", "eventsConfig") if name in changed
    }
    return parameters | ({"solutionUpdateConfig": config} if config else {})


def _update_campaign(changed: Answer, wanted: Answer, observed: Answer) -> Parameters:
    """Send version and configuration together where either side follows `$LATEST`.

    To enter or leave that mode the service wants both; a configuration replaces the old one whole.
    """
    parameters = dict(changed)
    follows = any(
        fields.get("campaignConfig", {}).get("syncWithLatestSolutionVersion")
        for fields in (wanted, observed)
    )
    if follows and parameters.keys() & {"solutionVersionArn", "campaignConfig"}:
        parameters |= {name: wanted[name] for name in ("solutionVersionArn", "campaignConfig")}
    if "campaignConfig" in parameters:
        config = dict(parameters["campaignConfig"])
        if not config["rankingInfluence"] and not observed["campaignConfig"]["rankingInfluence"]:
            del config["rankingInfluence"]
        parameters["campaignConfig"] = config
    return parameters


def _update_dataset(changed: Answer, _: Answer, __: Answer) -> Parameters:
    return dict(changed)


ROWS: dict[str, Row] = {
    row.kind: row
    for row in (
        Row(
            kind="DatasetGroup",
            member="datasetGroup",
            noun="dataset-group",
            render=render.dataset_group,
            read=read.dataset_group,
            send=_present,
        ),
        Row(
            kind="Schema",
            member="schema",
            noun="schema",
            render=render.schema,
            read=read.schema,
            send=_send_schema,
            taggable=False,
        ),
        Row(
            kind="Dataset",
            member="dataset",
            render=render.dataset,
            read=read.dataset,
            send=_present,
            read_update=read.dataset_update,
            send_update=_update_dataset,
        ),
        Row(
            kind="DatasetImportJob",
            member="datasetImportJob",
            noun="dataset-import-job",
            name_member="jobName",
            render=render.dataset_import_job,
            read=read.dataset_import_job,
            send=_present,
            deletable=False,
            runs=True,
        ),
        Row(
            kind="Solution",
            member="solution",
            noun="solution",
            render=render.solution,
            read=read.solution,
            send=_send_solution,
            read_update=read.solution_update,
            send_update=_update_solution,
        ),
        Row(
            kind="SolutionVersion",
            member="solutionVersion",
            render=render.solution_version,
            read=read.solution_version,
            send=_present,
            deletable=False,
            stop="StopSolutionVersionCreation",
            runs=True,
        ),
        Row(
            kind="Campaign",
            member="campaign",
            noun="campaign",
            render=render.campaign,
            read=read.campaign,
            send=_send_campaign,
            read_update=read.campaign_update,
            send_update=_update_campaign,
        ),
        Row(
            kind="EventTracker",
            member="eventTracker",
            render=render.event_tracker,
            read=read.event_tracker,
            send=_present,
        ),
    )
}
"""By kind."""
