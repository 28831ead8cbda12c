"""What lineage refuses.

OutOfRange
├── TooManyIds
├── TooManyPatterns
├── TooManyContainers
└── AncestryTooLarge
"""

from __future__ import annotations

from sluice_rpc.errors import OutOfRange


class TooManyIds(OutOfRange):
    """One request names more ids than it may."""

    reason = "TOO_MANY_IDS"

    def __init__(self, limit: int, observed: int) -> None:
        super().__init__(f"{observed:,} ids in one request, at most {limit:,}", limit=limit, observed=observed)


class AncestryTooLarge(OutOfRange):
    """What was found does not fit into one message; fewer ids in a request do, and tables of any size."""

    reason = "RESULT_TOO_LARGE"

    def __init__(self, limit_bytes: int, observed_bytes: int) -> None:
        super().__init__(
            f"the answer needs more than {limit_bytes:,} bytes; ask for fewer containers at once, or for tables",
            limit=limit_bytes,
            observed=observed_bytes,
        )


class TooManyPatterns(OutOfRange):
    """One request holds more wildcards than it may."""

    reason = "TOO_MANY_IDS"

    def __init__(self, limit: int, observed: int) -> None:
        super().__init__(
            f"{observed:,} values with a wildcard in one request, at most {limit:,}", limit=limit, observed=observed
        )


class TooManyContainers(OutOfRange):
    """The values of one request mean more containers than one answer holds."""

    reason = "RESULT_TOO_LARGE"

    def __init__(self, limit: int, observed: int, fix: str) -> None:
        super().__init__(
            f"the values mean {observed:,} containers or more, one answer holds {limit:,}; {fix}",
            limit=limit,
            observed=observed,
        )
