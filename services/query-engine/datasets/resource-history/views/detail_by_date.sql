-- One row per machine and bucket of $granularity; key: resource_id, date. The order and the page are composed from the
-- declared sort keys.
-- Percents are worked out from sums, rounded once, half up, to 1 decimal, and missing where there is nothing to divide by:
-- OU is PRD of all states but NST, availability PRD, SBY and EGT of the six states, yield track-outs of track-outs and
-- rejects, OEE the product of the rounded availability and yield.
with rated as (
    select
        any_value(workcenter_group) as workcenter,
        min(group_sequence) as workcenter_sequence,
        any_value(family) as family,
        any_value(machine) as machine,
        resource_id,
        case $granularity
            when 'day' then strftime(day, '%Y-%m-%d')
            when 'week' then strftime(date_trunc('week', day), '%Y-%m-%d')
            when 'month' then strftime(day, '%Y-%m')
            else strftime(day, '%Y')
        end as date,
        coalesce(sum(prd_microhours), 0) as prd,
        coalesce(sum(sby_microhours), 0) as sby,
        coalesce(sum(udt_microhours), 0) as udt,
        coalesce(sum(sdt_microhours), 0) as sdt,
        coalesce(sum(egt_microhours), 0) as egt,
        coalesce(sum(nst_microhours), 0) as nst,
        coalesce(sum(total_microhours), 0) as total,
        prd + sby + udt + sdt + egt as operating,
        operating + nst as scheduled,
        (prd * 2000 + operating) // nullif(2 * operating, 0) as ou_tenths,
        ((prd + sby + egt) * 2000 + scheduled) // nullif(2 * scheduled, 0) as availability_tenths
    from selected
    group by resource_id, date
)

select
    resource_id,
    date,
    workcenter,
    workcenter_sequence,
    family,
    machine,
    cast(ou_tenths as double) / 10 as ou_pct,
    cast(availability_tenths as double) / 10 as availability_pct,
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
    cast((nst * 2000 + total) // nullif(2 * total, 0) as double) / 10 as nst_pct
from rated
