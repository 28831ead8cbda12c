-- One row per hold of the containers :ids. Times: plant-local. Binds: :ids, :row_limit. Read by the index on
-- CONTAINERID. In no order.
select
    h.CONTAINERID as container_id,
    coalesce(nullif(trim(c.CONTAINERNAME), ''), h.CONTAINERID) as lot_id,
    h.HOLDTXNDATE as event_time,
    h.RELEASETXNDATE as end_time,
    h.WORKCENTERNAME as workcenter,
    h.FROMSPECNAME as spec,
    h.HOLDREASONNAME as name,
    h.HOLDCOMMENTS as detail,
    case when h.RELEASETXNDATE is null then 'HOLD' else 'RELEASED' end as state,
    coalesce(h.QTY, 0) as qty,
    h.HOLDEMP as employee,
    c.OBJECTTYPE as object_type,
    c.PRODUCTLINENAME as package
from DWH.DW_MES_HOLDRELEASEHISTORY h
left join DWH.DW_MES_CONTAINER c on c.CONTAINERID = h.CONTAINERID
where h.CONTAINERID in (:ids)
fetch first :row_limit rows only
