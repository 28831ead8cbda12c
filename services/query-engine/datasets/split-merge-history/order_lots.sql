-- One row per lot of :ids and lot of the same work order, itself included. Key: both. Binds: :ids, :row_limit. Read
-- by the indexes on CONTAINERID and MFGORDERNAME. In no order.
select
    c.CONTAINERID as container_id,
    o.CONTAINERID as order_lot_id
from DWH.DW_MES_CONTAINER c
join DWH.DW_MES_CONTAINER o on o.MFGORDERNAME = c.MFGORDERNAME
where c.CONTAINERID in (:ids)
fetch first :row_limit rows only
