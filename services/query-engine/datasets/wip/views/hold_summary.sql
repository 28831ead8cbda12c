-- One row per hold reason of lots on hold, most lots first; key: hold_reason.
select
    hold_reason,
    min(hold_type) as hold_type,
    count(*) as lot_count,
    cast(sum(qty) as bigint) as qty
from selected
where wip_status = 'HOLD'
  and hold_reason is not null
group by hold_reason
order by lot_count desc, hold_reason
