"""The holds dataset read in pages of counted rows: the files and keys that a folder needs for it."""

from __future__ import annotations

from pathlib import Path

from tests.engine_rig import DATASET, datasets_with

PAGED = {
    '[parts.slice]\ncut = "time"\n': (
        '[parts.slice]\ncut = "time"\norder_key = ["hold_time", "history_id"]\nunique_key = ["history_id"]\n'
    )
}
WHERE = """
left join DWH.DW_MES_CONTAINER c on c.CONTAINERID = h.CONTAINERID
where h.HOLDTXNDATE >= :start_time and h.HOLDTXNDATE < :end_time
"""
COUNT = (
    "-- How many rows the pages of slice.page.sql hold in all.\nselect count(*) as row_count\n"
    f"from DWH.DW_MES_HOLDRELEASEHISTORY h{WHERE}"
)


def paged_datasets(folder: Path, rows_per_chunk: int, *, order: str = "h.HOLDTXNDATE, h.HISTORYMAINLINEID") -> Path:
    """Return a copy of the datasets in which the holds of a range are read so many rows at a time."""
    datasets_with(folder, {**PAGED, "[limits]\n": f"[limits]\nrows_per_chunk = {rows_per_chunk}\n"})
    whole = (folder / DATASET / "slice.sql").read_text(encoding="utf-8")
    columns = whole[whole.index("select") + len("select") : whole.index("\nfrom ")]
    names = [line.strip().rpartition(" as ")[2].rstrip(",") for line in columns.splitlines() if " as " in line]
    page = (
        f"-- Rows :first_row to :last_row of slice.sql's, by hold time and transaction.\nselect {', '.join(names)}\n"
        f"from (select {columns},\n    row_number() over (order by {order}) as place\n"
        f"from DWH.DW_MES_HOLDRELEASEHISTORY h{WHERE}) numbered\n"
        "where place between :first_row and :last_row\norder by place\n"
    )
    (folder / DATASET / "slice.page.sql").write_text(page, encoding="utf-8")
    (folder / DATASET / "slice.count.sql").write_text(COUNT, encoding="utf-8")
    return folder
