"""Where a group's events are in the online store, and how a user's recent history is written.

A history is one string: a line of JSON an event, in the order of arrival. One GET reads it, an
event more is an appended line, and a reader that knows the beginning parses the rest only. Lines
are JSON arrays `[16 characters made of the event id, epoch seconds, event type, item id]`, so that
the first 20 bytes of a line say which event it is.

All keys of a group have its name in braces, so that a cluster keeps them in one slot and a script
may touch several.
"""

import base64
import hashlib
from collections.abc import Iterator
from typing import Final

import orjson

from reco.recipes import Event
from reco.serving.events import KeptEvent

FOLD_GROUP: Final = "fold"
LOG_GROUP: Final = "log"
GROUPS: Final = (FOLD_GROUP, LOG_GROUP)
"""Consumer groups of the stream."""
KIND: Final = b"k"
"""Field of a stream entry: `EVENTS`, or the type of a dataset of rows."""
DATA: Final = b"d"
"""Field of a stream entry: JSON of `KeptEvents` or `KeptRows`."""
EVENTS: Final = b"Events"


class Keys:
    """Keys of one dataset group, by its external name."""

    def __init__(self, group: str) -> None:
        self._root = f"reco:{{{group}}}"

    @property
    def owner(self) -> str:
        """Whose the keys are: JSON of `Owner`; written first, see `claiming`."""
        return f"{self._root}:owner"

    @property
    def stream(self) -> str:
        """The stream of everything that clients sent."""
        return f"{self._root}:events"

    def history(self, user: str) -> str:
        """Return the key of a user's recent events."""
        return f"{self._root}:history:{user}"

    def session(self, session: str) -> str:
        """Return the key of what an anonymous session did.

        It is apart from users' keys: clients choose both ids, and a session may be named as a user.
        """
        return f"{self._root}:session:{session}"


def line(event: KeptEvent) -> bytes | None:
    """Return an event's line; None if it names no item."""
    if event.item_id is None:
        return None
    digest = hashlib.blake2b(event.event_id.encode(), digest_size=12).digest()
    told = [base64.b64encode(digest).decode(), event.sent_at, event.event_type, event.item_id]
    return orjson.dumps(told) + b"\n"


def parse(history: bytes) -> Iterator[Event]:
    """Read lines."""
    for _, sent_at, event_type, item_id, *_ in orjson.loads(
        b"[%b]" % history.rstrip(b"\n").replace(b"\n", b",")
    ):
        yield Event(item_id, int(sent_at), event_type)


FOLD: Final = r"""
local limit, seconds = tonumber(ARGV[1]), tonumber(ARGV[2])
local history = redis.call('GET', KEYS[1]) or ''
local added = 0

local function add(line)
  local start = string.sub(line, 1, 20)
  if string.sub(history, 1, 20) ~= start and not string.find(history, '\n' .. start, 1, true) then
    history = history .. line
    added = added + 1
  end
end

local adopts = KEYS[2] ~= KEYS[1]
if adopts then
  for line in string.gmatch(redis.call('GET', KEYS[2]) or '', '[^\n]+\n') do add(line) end
end
for at = 3, #ARGV do add(ARGV[at]) end
if added > 0 then
  local _, lines = string.gsub(history, '\n', '\n')
  local from = 1
  for _ = 1, lines - limit do from = string.find(history, '\n', from, true) + 1 end
  redis.call('SET', KEYS[1], string.sub(history, from), 'EX', seconds)
end
if adopts then redis.call('DEL', KEYS[2]) end
return added
"""
"""Adds events to a history unless they are in it; a script, so that it happens at once or not.

KEYS: the history; that of an anonymous session which turned out to be this user's, or the same
key again. ARGV: how many events stay, for how many seconds, then lines. Returns how many were new.
"""
