-- One row per hold of the lots :ids, whenever it was placed. Key: history_id. Times: plant-local. Binds: :ids, :row_limit.
-- It tells whether a lot was held before for the same reason. Read by the index on CONTAINERID. In no order.
select
    h.HISTORYMAINLINEID as history_id,
    h.CONTAINERID as container_id,
    h.HOLDREASONID as hold_reason_id,
    h.HOLDTXNDATE as hold_time
from DWH.DW_MES_HOLDRELEASEHISTORY h
where h.CONTAINERID in (:ids)
  and h.HOLDTXNDATE is not null
fetch first :row_limit rows only
