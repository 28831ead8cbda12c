-- One row per work-centre group, highest OU first, groups without operating hours last; key: workcenter.
-- Percents are worked out from sums, rounded once, half up, to 1 decimal, and missing where there is nothing to divide by:
-- OU is PRD of all states but NST, availability PRD, SBY and EGT of the six states, yield track-outs of track-outs and
-- rejects, OEE the product of the rounded availability and yield.
with rated as (
    select
        workcenter_group as workcenter,
        coalesce(sum(prd_microhours), 0) as prd,
        coalesce(sum(sby_microhours), 0) as sby,
        coalesce(sum(udt_microhours), 0) as udt,
        coalesce(sum(sdt_microhours), 0) as sdt,
        coalesce(sum(egt_microhours), 0) as egt,
        count(distinct resource_id) filter (where has_hours) as machine_count,
        prd + sby + udt + sdt + egt as operating,
        (prd * 2000 + operating) // nullif(2 * operating, 0) as ou_tenths
    from selected
    group by workcenter_group
)

select
    workcenter,
    cast(ou_tenths as double) / 10 as ou_pct,
    cast((prd * 2 + 100000) // 200000 as double) / 10 as prd_hours,
    cast(machine_count as bigint) as machine_count
from rated
order by ou_tenths desc nulls last, workcenter
