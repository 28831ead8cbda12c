-- One row per source lot and finished good, whose serial is among these, each once. Key: container_id, matched.
-- matched is the serial that it was found by; spec_name and qty are NULL where the lot is no container any more. No
-- times. Binds: tokens = serials, at most a thousand, unpadded. Read by the index on FINISHEDNAME.
select distinct
    a.CONTAINERID as container_id,
    coalesce(c.CONTAINERNAME, a.CONTAINERNAME) as lot_id,
    a.FINISHEDNAME as matched,
    c.SPECNAME as spec_name,
    c.QTY as qty
from DWH.DW_MES_PJ_COMBINEDASSYLOTS a
left join DWH.DW_MES_CONTAINER c on c.CONTAINERID = a.CONTAINERID
where a.FINISHEDNAME in (:tokens)
