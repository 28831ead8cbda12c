-- One row: figures of the selected lots on hold.
select
    count(*) as lot_count,
    cast(coalesce(sum(qty), 0) as bigint) as qty,
    round(avg(age_days), 1) as avg_age_days,
    round(max(age_days), 1) as max_age_days,
    count(distinct workcenter_group) as workcenter_group_count
from selected
where wip_status = 'HOLD'
order by lot_count
