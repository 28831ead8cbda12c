-- One row per calendar day on which a selected job was opened, oldest first; key: create_day.
select create_day, count(*) as job_count, count(distinct resource_id) as machine_count
from selected
group by create_day
order by create_day
