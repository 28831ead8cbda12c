-- One row per category, most machines first; key: status_category.
select
    coalesce(status_category, 'UNKNOWN') as status_category,
    count(*) as machine_count
from selected
where kind = 'machine'
group by coalesce(status_category, 'UNKNOWN')
order by machine_count desc, status_category
