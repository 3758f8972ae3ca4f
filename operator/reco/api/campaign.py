"""Campaign: an endpoint that serves a trained version."""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from reco.api.base import (
    URL,
    ApiModel,
    ExternalStatus,
    Fraction,
    Name,
    Reference,
    SharedSpec,
    ShortText,
    exactly_one,
    immutable,
    rules,
    without_default,
)


class Follow(StrEnum):
    """Which version a campaign follows."""

    LATEST = "Latest"


class DesiredState(StrEnum):
    """Whether the campaign should serve."""

    RUNNING = "Running"
    STOPPED = "Stopped"


class Version(ApiModel):
    """Which version to serve: follow one, or pin one by name."""

    model_config = ConfigDict(json_schema_extra=rules(exactly_one("follow", "name")))

    follow: Follow | None = None
    """`Latest`: the newest good SolutionVersion of the Solution."""
    name: Name | None = None
    """The name of a SolutionVersion."""


class RankingInfluence(ApiModel):
    """How much popularity and freshness count, from 0 to 1."""

    popularity: Fraction | None = None
    """How much popularity counts."""
    freshness: Fraction | None = None
    """How much freshness counts."""


class CampaignConfig(ApiModel):
    """The service's settings of a campaign, one to one."""

    item_exploration_config: (
        Annotated[
            dict[ShortText, Annotated[str, StringConstraints(max_length=1000)]],
            Field(
                max_length=100,
                json_schema_extra=rules(
                    (
                        "!('explorationWeight' in self)"
                        " || self['explorationWeight'].matches('^(0([.][0-9]+)?|1([.]0+)?)$')",
                        "explorationWeight must be a decimal number from 0 to 1 as a string,"
                        " such as '0.3'",
                    ),
                    (
                        "!('explorationItemAgeCutOff' in self)"
                        " || self['explorationItemAgeCutOff'].matches('^[0-9]+([.][0-9]+)?$')",
                        "explorationItemAgeCutOff must be a number of days as a string, such as"
                        " '30'",
                    ),
                ),
            ),
        ]
        | None
    ) = None
    """For example `explorationWeight` and `explorationItemAgeCutOff`."""
    enable_metadata_with_recommendations: bool | None = None
    """Let requests ask for columns of the Items dataset."""
    sync_with_latest_solution_version: bool | None = None
    """Let the service itself move the campaign to each new version, its own trainings included."""
    ranking_influence: RankingInfluence | None = None
    """How much popularity and freshness count beside relevance."""


class CampaignSpec(SharedSpec):
    """What a Campaign says."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.campaignConfig)"
                " || !has(self.campaignConfig.syncWithLatestSolutionVersion)"
                " || !self.campaignConfig.syncWithLatestSolutionVersion"
                " || !has(self.version) || !has(self.version.name)",
                "campaignConfig.syncWithLatestSolutionVersion must be false or left out while"
                " version.name pins a version",
            )
        )
    )

    solution_ref: Reference = Field(json_schema_extra=immutable("make a new Campaign"))
    """The Solution whose versions it serves."""
    version: Version = Field(
        default=Version(follow=Follow.LATEST), json_schema_extra=without_default
    )
    """Which SolutionVersion to serve; left out, `{follow: Latest}`."""
    min_provisioned_tps: int = Field(default=1, ge=1, le=500)
    """Requests a second that are always provisioned, and billed."""
    campaign_config: CampaignConfig | None = None
    """Settings of the campaign."""
    desired_state: DesiredState = DesiredState.RUNNING
    """`Stopped` deletes the external campaign, which ends its bill, and keeps everything else."""


class Serving(ApiModel):
    """Which SolutionVersions serve."""

    current: Name | None = None
    """What serves now."""
    previous: Name | None = None
    """What served before, for going back."""


class CampaignStatus(ExternalStatus):
    """What the operator says of a Campaign."""

    endpoint: URL | None = None
    """Where the runtime API answers."""
    serving: Serving | None = None
