-- One row per group and reason of lots on hold, in the order of the flow, most lots first; key: both.
select
    coalesce(workcenter_group, '(none)') as workcenter_group,
    coalesce(hold_reason, '(not filled)') as hold_reason,
    count(*) as lot_count,
    cast(sum(qty) as bigint) as qty,
    round(avg(age_days), 1) as avg_age_days
from selected
where wip_status = 'HOLD'
group by coalesce(workcenter_group, '(none)'), coalesce(hold_reason, '(not filled)')
order by min(group_sequence), workcenter_group, lot_count desc, hold_reason
