-- How often each rank of a hold within its lot and day comes; ranks every row, as deriving the hold table does.
with ranked as (
    select row_number() over (partition by container_id, hold_day order by hold_time desc, history_id desc) as position
    from holds
)

select position, count(*) as hold_count
from ranked
group by position
having count(*) > $least_count
order by position
