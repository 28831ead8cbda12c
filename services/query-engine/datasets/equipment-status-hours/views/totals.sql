-- One row: all selected machines together.
-- Hours are summed in millionths and rounded once, half up; the ratio is of the sums, and missing
-- where there is nothing to divide by.
with total as (
    select
        count(distinct equipment_id) as machine_count,
        coalesce(sum(micro_hours) filter (where status = 'PRD'), 0) as prd,
        coalesce(sum(micro_hours) filter (where status = 'SBY'), 0) as sby,
        coalesce(sum(micro_hours) filter (where status = 'UDT'), 0) as udt,
        coalesce(sum(micro_hours) filter (where status = 'SDT'), 0) as sdt,
        coalesce(sum(micro_hours) filter (where status = 'EGT'), 0) as egt,
        coalesce(sum(micro_hours) filter (where status = 'NST'), 0) as nst,
        coalesce(sum(micro_hours), 0) as whole
    from selected
)

select
    machine_count,
    cast((prd + 50000) // 100000 as double) / 10 as prd_hours,
    cast((sby + 50000) // 100000 as double) / 10 as sby_hours,
    cast((udt + 50000) // 100000 as double) / 10 as udt_hours,
    cast((sdt + 50000) // 100000 as double) / 10 as sdt_hours,
    cast((egt + 50000) // 100000 as double) / 10 as egt_hours,
    cast((nst + 50000) // 100000 as double) / 10 as nst_hours,
    cast((whole - prd - sby - udt - sdt - egt - nst + 50000) // 100000 as double) / 10 as other_hours,
    cast((whole + 50000) // 100000 as double) / 10 as total_hours,
    cast((prd * 2000 + prd + sby + udt + sdt + egt) // nullif(2 * (prd + sby + udt + sdt + egt), 0) as double) / 10 as ou_pct
from total
order by machine_count
