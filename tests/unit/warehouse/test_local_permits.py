"""What only the permits of one process have to say for themselves; the rest is the contract suite's."""

from __future__ import annotations

import pytest
from sluice_warehouse.permits import LocalPermits


@pytest.mark.parametrize("total", [0, -1])
def test_a_process_without_a_permit_cannot_be_made(total: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        LocalPermits(total)
