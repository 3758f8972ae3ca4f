"""The table of kinds: one row says all that generic code needs.

A new kind is a row, functions that render and read its fields, and where it is not simply found by
its name, or its status shows more than is compared, a function for that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reco.api.resource import Resource
from reco.decide.references import References
from reco.engines.personalize import details, finding, read, render, send
from reco.engines.personalize.details import Details
from reco.engines.personalize.finding import Find
from reco.engines.personalize.render import Place, Rendering
from reco.engines.personalize.wire import Answer, Wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Wire):
    """One kind: how it is worded, and how it is made, found, read and changed."""

    render: Callable[[Resource, References, Place], Rendering]
    read: Callable[[Answer, Answer], dict[str, Any]]
    """Description and wanted fields to comparable fields."""
    send: Callable[[Answer], dict[str, Any]] = send.present
    """Wanted fields to the parameters of creation."""
    read_update: Callable[[Answer, Answer], dict[str, Any]] | None = None
    """The latest update and wanted fields to comparable fields."""
    send_update: Callable[[Answer, Answer, Answer], dict[str, Any]] | None = None
    """Changed, wanted and observed fields to the parameters of an update."""
    find: Find = finding.by_name
    """How to find an object without a recorded ARN."""
    details: Details = details.nothing
    """What the status shows beside the compared fields."""
    taggable: bool = True
    proves_names: bool = True
    """Whether a repeated call is refused and what it made is marked as ours by tags."""
    refuses_repetition: bool = True
    """Whether a repeated call is sure to be refused."""
    deletable: bool = True
    """False for what goes only with its parent."""
    stop: str | None = None
    """The operation that stops a run."""


ROWS: dict[str, Row] = {
    row.kind: row
    for row in (
        Row(
            kind="DatasetGroup",
            member="datasetGroup",
            noun="dataset-group",
            render=render.dataset_group,
            read=read.dataset_group,
        ),
        Row(
            kind="Schema",
            member="schema",
            noun="schema",
            render=render.schema,
            read=read.schema,
            send=send.schema,
            taggable=False,
            proves_names=False,
        ),
        Row(
            kind="Dataset",
            member="dataset",
            render=render.dataset,
            read=read.dataset,
            read_update=read.dataset_update,
            send_update=send.dataset_update,
            find=finding.dataset,
            details=details.dataset,
        ),
        Row(
            kind="DatasetImportJob",
            member="datasetImportJob",
            noun="dataset-import-job",
            name_member="jobName",
            render=render.dataset_import_job,
            read=read.dataset_import_job,
            deletable=False,
            runs=True,
        ),
        Row(
            kind="Solution",
            member="solution",
            noun="solution",
            render=render.solution,
            read=read.solution,
            send=send.solution,
            read_update=read.solution_update,
            send_update=send.solution_update,
            details=details.solution,
        ),
        Row(
            kind="SolutionVersion",
            member="solutionVersion",
            render=render.solution_version,
            read=read.solution_version,
            deletable=False,
            proves_names=False,
            refuses_repetition=False,
            stop="StopSolutionVersionCreation",
            runs=True,
            find=finding.solution_version,
            details=details.solution_version,
        ),
        Row(
            kind="Campaign",
            member="campaign",
            noun="campaign",
            render=render.campaign,
            read=read.campaign,
            send=send.campaign,
            read_update=read.campaign_update,
            send_update=send.campaign_update,
            details=details.campaign,
        ),
        Row(
            kind="EventTracker",
            member="eventTracker",
            render=render.event_tracker,
            read=read.event_tracker,
            find=finding.event_tracker,
            details=details.event_tracker,
        ),
    )
}
"""By kind."""

UNPROVEN = frozenset(kind for kind, row in ROWS.items() if not row.proves_names)
REPEATABLE = frozenset(kind for kind, row in ROWS.items() if not row.refuses_repetition)
GOES_WITH_PARENT = frozenset(kind for kind, row in ROWS.items() if not row.deletable)
