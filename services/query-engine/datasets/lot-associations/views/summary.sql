-- One row per kind, name and unit, most rows first; key: kind, name and unit. Units of one part are never added up.
select
    kind,
    coalesce(name, '(not filled)') as name,
    case when kind = 'material' then state end as unit,
    count(*) as row_count,
    count(distinct container_id) as lot_count,
    cast(round(sum(qty), 6) as double) as qty,
    cast(round(sum(defect_qty), 6) as double) as defect_qty
from selected
group by kind, coalesce(name, '(not filled)'), case when kind = 'material' then state end
order by kind, row_count desc, name, unit
