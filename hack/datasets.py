"""Data for benchmarks, tests and the quickstart: MovieLens where it is at hand, else made up.

MovieLens ml-latest-small may not be copied into the project, so a directory is named by
`RECO_MOVIELENS` or found beside the checkout. The made-up set has its shape (about 600 users, 9,700
items, 100,000 ratings), tastes that popularity alone cannot serve, and sequences; everything in it
is drawn from a seed.
"""

import csv
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reco.recipes import Interactions, Items, Users

ROOT = Path(__file__).resolve().parent.parent

# The release of September 2018; another release of the same name has 671 users.
MOVIELENS_RATINGS = 100_836
MOVIELENS_USERS = 610

DAY = 86_400


@dataclass(frozen=True, slots=True)
class Dataset:
    """Interactions, items, what to call an item when showing it to people, and users if known."""

    name: str
    interactions: Interactions
    items: Items
    titles: dict[str, str]
    users: Users | None = None


def find_movielens() -> Path | None:
    """Return the directory of ml-latest-small, or None."""
    named = os.environ.get("RECO_MOVIELENS")
    directory = Path(named) if named else ROOT.parent / "shared" / "data" / "ml-latest-small"
    return directory if (directory / "ratings.csv").is_file() else None


def default_dataset(seed: int = 0) -> Dataset:
    """Return MovieLens where it is at hand, else the made-up set."""
    directory = find_movielens()
    return synthetic(seed) if directory is None else movielens(directory)


def ratings_of(directory: Path) -> tuple[list[str], list[str], list[int]]:
    """Return users, items and times of every rating of ml-latest-small, in the file's order."""
    users, items, _, times = zip(*_ratings(directory), strict=True)
    return list(users), list(items), list(times)


def _ratings(directory: Path) -> list[tuple[str, str, float, int]]:
    """Read user, item, rating and time; raise ValueError for another release."""
    with (directory / "ratings.csv").open(newline="", encoding="utf-8") as file:
        ratings = [
            (row["userId"], row["movieId"], float(row["rating"]), int(row["timestamp"]))
            for row in csv.DictReader(file)
        ]
    users = len({user for user, *_ in ratings})
    if (len(ratings), users) != (MOVIELENS_RATINGS, MOVIELENS_USERS):
        raise ValueError(
            f"{directory}: {len(ratings)} ratings of {users} users is not the 2018 release of "
            f"ml-latest-small ({MOVIELENS_RATINGS} ratings of {MOVIELENS_USERS} users)"
        )
    return ratings


def movielens(directory: Path) -> Dataset:
    """Read ml-latest-small; raise ValueError for another release.

    As in the service's published samples: a rating above 1 is a `click`, one above 3 a `watch` too.
    """
    ratings = _ratings(directory)
    with (directory / "movies.csv").open(newline="", encoding="utf-8") as file:
        movies = list(csv.DictReader(file))
    titles = {row["movieId"]: row["title"] for row in movies}
    rated = {item for _, item, *_ in ratings}
    genres = {
        row["movieId"]: "" if row["genres"].startswith("(") else row["genres"]
        for row in movies
        if row["movieId"] in rated
    }
    return Dataset(
        "ml-latest-small",
        _interactions(ratings),
        Items.of(list(genres), categories={"GENRES": list(genres.values())}),
        titles,
    )


_GENRES = (
    "Heist Farce Courtroom Expedition Whodunit Fable Satire Melodrama Chronicle Chase Caper "
    "Romance Siege Homecoming Masquerade Voyage"
)
_ADJECTIVES = (
    "Amber Borrowed Crooked Distant Electric Forgotten Gentle Hollow Idle Jagged Kindly Lunar "
    "Midnight Narrow Oblique Paper Quiet Restless Salted Tidal Unwritten Velvet Windward "
    "Yonder"
)
_NOUNS = (
    "Archive Bakery Compass Dynamo Estuary Ferry Garden Harbour Inkwell Junction Kite Lantern "
    "Meridian Notary Orchard Parade Quarry Rooftop Station Telescope Umbrella Viaduct "
    "Workshop Zoo"
)


def synthetic(
    seed: int = 0, *, users: int = 600, items: int = 9_700, ratings: int = 100_000
) -> Dataset:
    """Make up a data set.

    Items belong to a genre and stand in an order within it, like the parts of series. A user likes
    a few genres, declares two of them as topics, drifts between them, and often moves on to an item
    a few places further. Some items of each genre are far more popular than others.
    """
    rng = np.random.default_rng(seed)
    genres = _GENRES.split()
    genre_of = rng.integers(len(genres), size=items)
    members = [np.flatnonzero(genre_of == genre) for genre in range(len(genres))]
    popularity = [_zipf_cumulated(rng, len(of_genre)) for of_genre in members]
    lengths = np.minimum(_lengths(rng, users, ratings), items // 4)

    rows: list[tuple[str, str, float, int]] = []
    declared: dict[str, str] = {}
    for user, length in enumerate(lengths.tolist()):
        tastes = 0.97 * rng.dirichlet(np.full(len(genres), 0.15)) + 0.03 / len(genres)
        favourites = [genres[genre] for genre in np.argsort(-tastes)[:2].tolist()]
        declared[f"u{user:04}"] = "|".join(favourites)
        seen: set[int] = set()
        genre, place, time = 0, -1, 1_450_000_000 + int(rng.integers(900 * DAY))
        while len(seen) < length:
            if place < 0 or rng.random() < 0.05:
                genre, place = int(rng.choice(len(genres), p=tastes)), -1
                time += int(rng.exponential(20 * DAY))
            if place >= 0 and rng.random() < 0.6:
                place = (place + int(rng.integers(1, 4))) % len(members[genre])
            else:
                place = int(np.searchsorted(popularity[genre], rng.random()))
            item = int(members[genre][place])
            if item in seen:
                place = -1 if rng.random() < 0.2 else place
                continue
            seen.add(item)
            time += int(rng.integers(5, 120))
            liked = 3.2 + 2 * tastes[genre] ** 0.5 + rng.normal(0, 0.9)
            rating = float(np.clip(np.round(2 * liked) / 2, 0.5, 5.0))
            rows.append((f"u{user:04}", f"i{item:05}", rating, time))

    ids = [f"i{item:05}" for item in range(items)]
    return Dataset(
        f"synthetic (seed {seed})",
        _interactions(rows),
        Items.of(ids, categories={"GENRES": [genres[genre] for genre in genre_of]}),
        dict(zip(ids, _titles(items), strict=True)),
        Users.of(list(declared), {"TOPICS": list(declared.values())}),
    )


def write_csv(dataset: Dataset, directory: Path) -> tuple[Path, Path]:
    """Write the set as an Amazon Personalize import wants it; return both files' paths.

    `interactions.csv` has USER_ID, ITEM_ID, TIMESTAMP and EVENT_TYPE, `items.csv` ITEM_ID, TITLE
    and GENRES.
    """
    directory.mkdir(parents=True, exist_ok=True)
    events = dataset.interactions
    types = np.full(len(events), "click") if events.event_types is None else events.event_types
    interactions = _write(
        directory / "interactions.csv",
        ("USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE"),
        zip(
            events.user_ids.tolist(),
            events.item_ids.tolist(),
            events.timestamps.tolist(),
            types.tolist(),
            strict=True,
        ),
    )
    ids = dataset.items.ids.tolist()
    items = _write(
        directory / "items.csv",
        ("ITEM_ID", "TITLE", "GENRES"),
        zip(
            ids,
            [dataset.titles[item] for item in ids],
            dataset.items.categories["GENRES"].tolist(),
            strict=True,
        ),
    )
    return interactions, items


def _write(path: Path, header: Iterable[str], rows: Iterable[Iterable[object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path


def _interactions(ratings: list[tuple[str, str, float, int]]) -> Interactions:
    """Turn ratings into clicks (above 1) and watches (above 3), rows in the order given."""
    events = [
        (user, item, time, event_type)
        for user, item, rating, time in ratings
        for event_type, above in (("click", 1), ("watch", 3))
        if rating > above
    ]
    users, items, times, types = zip(*events, strict=True)
    return Interactions.of(users, items, times, types)


def _zipf_cumulated(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Return cumulated probabilities of items, Zipf-like over a random order."""
    share = rng.permutation(1 / np.arange(3, size + 3) ** 1.05)
    cumulated: NDArray[np.float64] = np.cumsum(share / share.sum())
    cumulated[-1] = 1.0
    return cumulated


def _lengths(rng: np.random.Generator, users: int, ratings: int) -> NDArray[np.int64]:
    """Return ratings per user: at least 20, most below a hundred, a few over a thousand."""
    extra = rng.lognormal(0.0, 1.3, users)
    lengths: NDArray[np.float64] = 20 + extra * (ratings - 20 * users) / extra.sum()
    return lengths.round().astype(np.int64)


def _titles(count: int) -> list[str]:
    """Return distinct invented titles; parts are numbered when the words run out."""
    words = [
        f"The {adjective} {noun}" for noun in _NOUNS.split() for adjective in _ADJECTIVES.split()
    ]
    return [
        words[at % len(words)] + (f", Part {at // len(words) + 1}" if at >= len(words) else "")
        for at in range(count)
    ]
