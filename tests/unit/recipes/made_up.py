"""Items and users that every recipe can use, for interactions that come without."""

import numpy as np

from reco.recipes import Interactions, Items, Users
from reco.recipes.training import Options


def options(interactions: Interactions) -> Options:
    """Return an items and a users data set with one column of topics each."""
    items, users = np.unique(interactions.item_ids), np.unique(interactions.user_ids)
    topics = [("even", "odd")[at % 2] for at in range(len(items))]
    return {
        "items": Items.of(items.tolist(), categories={"TOPICS": topics}),
        "users": Users.of(users.tolist(), {"TOPICS": ["odd"] * len(users)}),
    }
