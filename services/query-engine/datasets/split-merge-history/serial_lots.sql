-- One row per finished serial number of :ids and combination of a lot into it. Times: plant-local. Binds: :ids,
-- :row_limit. Read by the index on FINISHEDNAME. In no order.
select
    p.FINISHEDNAME as serial,
    p.CONTAINERID as container_id,
    coalesce(nullif(trim(p.CONTAINERNAME), ''), p.CONTAINERID) as lot_id,
    p.PJ_WORKORDER as workorder,
    p.PJ_COMBINEDRATIO as combined_ratio,
    coalesce(p.PJ_GOODDIEQTY, 0) as good_die_qty,
    p.PJ_ORIGINALGOODDIEQTY as original_good_die_qty,
    p.ORIGINALSTARTDATE as start_time
from DWH.DW_MES_PJ_COMBINEDASSYLOTS p
where p.FINISHEDNAME in (:ids)
fetch first :row_limit rows only
