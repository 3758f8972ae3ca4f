"""The recipes the service lists, and what each can do."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Recipe:
    """One recipe as ListRecipes and DescribeRecipe show it.

    ``trainable`` here, ``updatable`` by trainingMode UPDATE, and whether the service ``refreshes``
    what it serves by itself.
    """

    name: str
    type: str
    created: str = "2019-06-10"
    domain: str | None = None
    algorithm: str | None = None
    trainable: bool = False
    updatable: bool = False
    refreshes: bool = False

    @property
    def arn(self) -> str:
        """Give the ARN: recipes belong to no region and no account."""
        return f"arn:aws:personalize:::recipe/{self.name}"

    def describe(self) -> dict[str, Any]:
        """Give every member that a Describe or List answer may show."""
        created = datetime.fromisoformat(self.created).replace(tzinfo=UTC)
        suffix = self.name.removeprefix("aws-")
        return {
            "name": self.name,
            "recipeArn": self.arn,
            "algorithmArn": f"arn:aws:personalize:::algorithm/{self.algorithm or self.name}",
            "featureTransformationArn": f"arn:aws:personalize:::feature-transformation/{suffix}",
            "status": "ACTIVE",
            "description": f"{self.name}, as emulated",
            "creationDateTime": created,
            "lastUpdatedDateTime": created,
            "recipeType": self.type,
            "domain": self.domain,
        }


def _domain(domain: str, *recipes: tuple[str, str]) -> tuple[Recipe, ...]:
    return tuple(Recipe(name, kind, "2021-11-29", domain) for name, kind in recipes)


_ALL = (
    *_domain(
        "ECOMMERCE",
        ("aws-ecomm-customers-who-viewed-x-also-viewed", "RELATED_ITEMS"),
        ("aws-ecomm-frequently-bought-together", "RELATED_ITEMS"),
        ("aws-ecomm-popular-items-by-purchases", "USER_PERSONALIZATION"),
        ("aws-ecomm-popular-items-by-views", "USER_PERSONALIZATION"),
        ("aws-ecomm-recommended-for-you", "USER_PERSONALIZATION"),
    ),
    Recipe("aws-item-affinity", "USER_SEGMENTATION", "2021-07-15"),
    Recipe("aws-item-attribute-affinity", "USER_SEGMENTATION", "2021-08-25"),
    Recipe("aws-next-best-action", "PERSONALIZED_ACTIONS", "2023-08-11"),
    Recipe("aws-personalized-ranking", "PERSONALIZED_RANKING", trainable=True),
    Recipe("aws-personalized-ranking-v2", "PERSONALIZED_RANKING", "2024-05-02", trainable=True),
    Recipe("aws-popularity-count", "USER_PERSONALIZATION", trainable=True),
    Recipe("aws-similar-items", "RELATED_ITEMS", "2021-10-05", trainable=True),
    Recipe("aws-sims", "RELATED_ITEMS", trainable=True),
    Recipe("aws-trending-now", "USER_PERSONALIZATION", "2022-10-28"),
    Recipe(
        "aws-user-personalization",
        "USER_PERSONALIZATION",
        trainable=True,
        updatable=True,
        refreshes=True,
    ),
    Recipe(
        "aws-user-personalization-v2",
        "USER_PERSONALIZATION",
        "2024-05-02",
        trainable=True,
        refreshes=True,
    ),
    *_domain(
        "VIDEO_ON_DEMAND",
        ("aws-vod-because-you-watched-x", "RELATED_ITEMS"),
        ("aws-vod-more-like-x", "RELATED_ITEMS"),
        ("aws-vod-most-popular", "USER_PERSONALIZATION"),
        ("aws-vod-top-picks", "USER_PERSONALIZATION"),
        ("aws-vod-trending-now", "USER_PERSONALIZATION"),
    ),
)

RECIPES: dict[str, Recipe] = {recipe.arn: recipe for recipe in _ALL}
"""Recipes by ARN, in the alphabetical order in which the service lists them."""

PAGE_BEFORE_FILTER = 12
"""ListRecipes cuts pages of this size before it filters by domain, whatever maxResults allows."""
