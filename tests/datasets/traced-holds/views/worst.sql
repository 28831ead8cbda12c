-- One row per lot and reason, most holds first; key: container_id and reason.
select container_id, reason, count(*) as hold_count
from holds
group by container_id, reason
order by hold_count desc, container_id, reason
limit $top
