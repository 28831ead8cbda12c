-- One row per hold placed in [:start_time, :end_time), of the reasons given. Key: history_id and container_id.
-- Times: plant-local. Binds: :start_time, :end_time, :all_reasons, :reasons, :row_limit.
select
    h.HISTORYMAINLINEID as history_id,
    h.CONTAINERID as container_id,
    h.HOLDREASONNAME as reason,
    h.HOLDTXNDATE as hold_time
from DWH.DW_MES_HOLDRELEASEHISTORY h
where h.HOLDTXNDATE >= :start_time
  and h.HOLDTXNDATE < :end_time
  and (:all_reasons = 1 or h.HOLDREASONNAME in (:reasons))
fetch first :row_limit rows only
