-- One row per consumption of material by the containers :ids. No key. Times: plant-local. Binds: :ids, :row_limit.
-- Read by the index on CONTAINERID. In no order.
select
    m.CONTAINERID as container_id,
    coalesce(nullif(trim(c.CONTAINERNAME), ''), m.CONTAINERID) as lot_id,
    m.TXNDATE as event_time,
    m.WORKCENTERNAME as workcenter,
    m.SPECNAME as spec,
    m.EQUIPMENTNAME as machine,
    m.MATERIALPARTNAME as name,
    m.MATERIALLOTNAME as detail,
    m.UOMNAME as state,
    coalesce(m.QTYCONSUMED, 0) as qty,
    c.OBJECTTYPE as object_type,
    c.PRODUCTLINENAME as package
from DWH.DW_MES_LOTMATERIALSHISTORY m
left join DWH.DW_MES_CONTAINER c on c.CONTAINERID = m.CONTAINERID
where m.CONTAINERID in (:ids)
fetch first :row_limit rows only
