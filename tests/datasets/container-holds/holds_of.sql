-- One row per hold of the containers :ids, whenever it was placed. Key: history_id and container_id.
-- Times: plant-local. Binds: :ids, :row_limit.
select
    h.HISTORYMAINLINEID as history_id,
    h.CONTAINERID as container_id,
    h.HOLDTXNDATE as hold_time,
    h.RELEASETXNDATE as release_time
from DWH.DW_MES_HOLDRELEASEHISTORY h
where h.CONTAINERID in (:ids)
fetch first :row_limit rows only
