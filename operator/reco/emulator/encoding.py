"""How answers look on the wire: compact JSON, numbers as Java prints them, nulls where recorded.

Lengths of recorded answers prove it: timestamps are ``Double.toString`` of seconds
(``1.637897903645E9``), control-plane answers have no nulls, items of runtime answers have them.
"""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

_JAVA_PLAIN_LOW, _JAVA_PLAIN_HIGH = 1e-3, 1e7


def java_double(value: float) -> str:
    """Print a number as ``Double.toString`` does: scientific outside 1e-3 to 1e7."""
    if value == 0 or not math.isfinite(value):
        return "0.0"
    if _JAVA_PLAIN_LOW <= abs(value) < _JAVA_PLAIN_HIGH:
        return format(value, "f") if repr(value).find("e") >= 0 else repr(float(value))
    digits, exponent = f"{value:.16e}".split("e")
    for places in range(1, 17):
        digits, exponent = f"{value:.{places}e}".split("e")
        if float(f"{digits}e{exponent}") == value:
            break
    return f"{digits}E{int(exponent)}"


def encode(value: Any) -> str:  # noqa: ANN401 - JSON
    """Write a value as compact JSON; datetimes become seconds with milliseconds."""
    if isinstance(value, datetime):
        return java_double(round(value.timestamp(), 3))
    if isinstance(value, float):
        return java_double(value)
    if isinstance(value, Mapping):
        members = (f"{json.dumps(str(key))}:{encode(one)}" for key, one in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(encode(one) for one in value) + "]"
    return json.dumps(value, ensure_ascii=False)
