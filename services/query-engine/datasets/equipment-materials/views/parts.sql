-- One row per material part and unit, most lots first; key: material_part and unit.
select
    coalesce(material_part, '(none)') as material_part,
    min(material_description) as material_description,
    unit,
    cast(round(coalesce(sum(qty_consumed), 0), 6) as double) as qty_consumed,
    count(distinct container_id) as lot_count,
    count(*) as consumption_count
from selected
group by coalesce(material_part, '(none)'), unit
order by lot_count desc, material_part, unit
