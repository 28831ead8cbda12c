-- One row per bucket of $granularity that has hours or production, oldest first; key: date.
-- Percents are worked out from sums, rounded once, half up, to 1 decimal, and missing where there is nothing to divide by:
-- OU is PRD of all states but NST, availability PRD, SBY and EGT of the six states, yield track-outs of track-outs and
-- rejects, OEE the product of the rounded availability and yield.
with rated as (
    select
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
        coalesce(sum(track_out_qty), 0) as out_qty,
        coalesce(sum(ng_qty), 0) as lost_qty,
        prd + sby + udt + sdt + egt as operating,
        operating + nst as scheduled,
        out_qty + lost_qty as made,
        (prd * 2000 + operating) // nullif(2 * operating, 0) as ou_tenths,
        ((prd + sby + egt) * 2000 + scheduled) // nullif(2 * scheduled, 0) as availability_tenths,
        (out_qty * 2000 + made) // nullif(2 * made, 0) as yield_tenths
    from selected
    group by date
)

select
    date,
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
    cast((nst * 2 + 100000) // 200000 as double) / 10 as nst_hours
from rated
order by date
