-- One row per work centre with lots; key: workcenter.
select workcenter, count(distinct lot_id) as lot_count, sum(qty) as qty
from selected
group by workcenter
order by workcenter nulls last
