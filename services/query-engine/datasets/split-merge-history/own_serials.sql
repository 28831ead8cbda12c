-- One row per lot of :ids and finished serial number that it is part of. Key: both. Binds: :ids, :row_limit. Read by
-- the index on CONTAINERID. In no order. What is named Unknown is no serial number: lots that share it have nothing
-- in common.
select distinct
    p.CONTAINERID as container_id,
    p.FINISHEDNAME as serial
from DWH.DW_MES_PJ_COMBINEDASSYLOTS p
where p.CONTAINERID in (:ids)
  and length(trim(p.FINISHEDNAME)) > 0
  and upper(trim(p.FINISHEDNAME)) <> 'UNKNOWN'
fetch first :row_limit rows only
