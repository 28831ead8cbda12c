-- One row per department that placed a selected hold, most pieces first; key: department. Quantities in pieces.
-- Hours are averaged over holds, not weighted, from whole seconds, and rounded once, half up, to 2 decimals.
select
    coalesce(department, '(not filled)') as department,
    count(*) as hold_count,
    count(distinct container_id) as lot_count,
    cast(sum(qty) as bigint) as qty,
    count(*) filter (where release_time is null) as open_count,
    cast((cast(sum(hold_seconds) as bigint) * 2 + 36 * count(*)) // (72 * count(*)) as double) / 100 as avg_hours
from selected
group by coalesce(department, '(not filled)')
order by qty desc, department
