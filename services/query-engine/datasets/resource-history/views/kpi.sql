-- One row: the figures of all selected machine-days together. No key.
-- Percents are worked out from sums, rounded once, half up, to 1 decimal, and missing where there is nothing to divide by:
-- OU is PRD of all states but NST, availability PRD, SBY and EGT of the six states, yield track-outs of track-outs and
-- rejects, OEE the product of the rounded availability and yield.
with rated as (
    select
        coalesce(sum(prd_microhours), 0) as prd,
        coalesce(sum(sby_microhours), 0) as sby,
        coalesce(sum(udt_microhours), 0) as udt,
        coalesce(sum(sdt_microhours), 0) as sdt,
        coalesce(sum(egt_microhours), 0) as egt,
        coalesce(sum(nst_microhours), 0) as nst,
        coalesce(sum(total_microhours), 0) as total,
        coalesce(sum(track_out_qty), 0) as out_qty,
        coalesce(sum(ng_qty), 0) as lost_qty,
        count(distinct resource_id) filter (where has_hours) as machine_count,
        prd + sby + udt + sdt + egt as operating,
        operating + nst as scheduled,
        out_qty + lost_qty as made,
        (prd * 2000 + operating) // nullif(2 * operating, 0) as ou_tenths,
        ((prd + sby + egt) * 2000 + scheduled) // nullif(2 * scheduled, 0) as availability_tenths,
        (out_qty * 2000 + made) // nullif(2 * made, 0) as yield_tenths
    from selected
)

select
    cast(ou_tenths as double) / 10 as ou_pct,
    cast(availability_tenths as double) / 10 as availability_pct,
    cast((availability_tenths * yield_tenths * 2 + 1000) // 2000 as double) / 10 as oee_pct,
    cast(yield_tenths as double) / 10 as yield_pct,
    cast(out_qty as bigint) as track_out_qty,
    cast(lost_qty as bigint) as ng_qty,
    cast((prd * 2 + 100000) // 200000 as double) / 10 as prd_hours,
    cast((sby * 2 + 100000) // 200000 as double) / 10 as sby_hours,
    cast((udt * 2 + 100000) // 200000 as double) / 10 as udt_hours,
    cast((sdt * 2 + 100000) // 200000 as double) / 10 as sdt_hours,
    cast((egt * 2 + 100000) // 200000 as double) / 10 as egt_hours,
    cast((nst * 2 + 100000) // 200000 as double) / 10 as nst_hours,
    cast((prd * 2000 + total) // nullif(2 * total, 0) as double) / 10 as prd_pct,
    cast((sby * 2000 + total) // nullif(2 * total, 0) as double) / 10 as sby_pct,
    cast((udt * 2000 + total) // nullif(2 * total, 0) as double) / 10 as udt_pct,
    cast((sdt * 2000 + total) // nullif(2 * total, 0) as double) / 10 as sdt_pct,
    cast((egt * 2000 + total) // nullif(2 * total, 0) as double) / 10 as egt_pct,
    cast((nst * 2000 + total) // nullif(2 * total, 0) as double) / 10 as nst_pct,
    cast(machine_count as bigint) as machine_count
from rated
order by machine_count
