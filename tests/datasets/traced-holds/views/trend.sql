-- One row per day, week or month with a hold; key: start_date.
select cast(date_trunc($granularity, hold_time) as date) as start_date, count(*) as hold_count
from selected
group by 1
order by start_date
