-- One row: how many rejects are selected. No key.
select count(*) as row_count
from selected
order by row_count
