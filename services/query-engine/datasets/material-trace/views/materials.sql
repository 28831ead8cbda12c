-- One row per material part, material lot and unit, most lots first; key: material_part, material_lot and unit.
select
    coalesce(material_part, '(none)') as material_part,
    coalesce(material_lot, '(none)') as material_lot,
    unit,
    cast(round(coalesce(sum(qty_consumed), 0), 6) as double) as qty_consumed,
    count(distinct container_id) as lot_count,
    count(distinct workorder) as workorder_count,
    min(txn_time) as first_time,
    max(txn_time) as last_time
from selected
group by coalesce(material_part, '(none)'), coalesce(material_lot, '(none)'), unit
order by lot_count desc, material_part, material_lot, unit
