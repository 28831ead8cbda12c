-- One row per lot that was held; key: container_id.
select container_id, count(*) as hold_count, max(ancestor_count) as ancestor_count, max(step_count) as step_count
from holds
group by container_id
order by container_id
