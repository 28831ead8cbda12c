-- One row per hold of the containers :ids, of the reasons given, whenever it was placed. Key: history_id, container_id.
-- Times: plant-local. Binds: :ids, :all_reasons, :reasons, :row_limit.
select
    h.HISTORYMAINLINEID as history_id,
    h.CONTAINERID as container_id,
    h.HOLDREASONNAME as reason,
    h.HOLDTXNDATE as hold_time
from DWH.DW_MES_HOLDRELEASEHISTORY h
where h.CONTAINERID in (:ids)
  and (:all_reasons = 1 or h.HOLDREASONNAME in (:reasons))
fetch first :row_limit rows only
