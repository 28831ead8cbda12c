-- One row per finished serial number that a lot asked is part of; key: serial.
select
    serial,
    count(distinct container_id) as lot_count,
    count(distinct container_id) filter (where lot_asked) as asked_lot_count,
    cast(sum(good_die_qty) as bigint) as total_good_die_qty
from operations
where kind = 'serial'
group by serial
order by serial
