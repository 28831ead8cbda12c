-- One row per work-centre group and bucket of $granularity; key: workcenter, date. By place in the flow, then by date.
-- Percents are worked out from sums, rounded once, half up, to 1 decimal, and missing where there is nothing to divide by:
-- OU is PRD of all states but NST, availability PRD, SBY and EGT of the six states, yield track-outs of track-outs and
-- rejects, OEE the product of the rounded availability and yield.
with rated as (
    select
        workcenter_group as workcenter,
        min(group_sequence) as workcenter_sequence,
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
    group by workcenter_group, date
)

select
    workcenter,
    workcenter_sequence,
    date,
    cast(ou_tenths as double) / 10 as ou_pct,
    cast((availability_tenths * yield_tenths * 2 + 1000) // 2000 as double) / 10 as oee_pct,
    cast(availability_tenths as double) / 10 as availability_pct
from rated
order by workcenter_sequence, workcenter, date
