-- One row per consumption of material by a lot of :ids. No key. Times: plant-local. Binds: :ids, :row_limit.
-- Read by the index on CONTAINERID. In no order.
select
    m.CONTAINERID as container_id,
    coalesce(nullif(trim(c.CONTAINERNAME), ''), m.CONTAINERID) as lot_id,
    m.PJ_WORKORDER as workorder,
    m.WORKCENTERNAME as workcenter,
    m.SPECNAME as spec,
    m.EQUIPMENTNAME as equipment,
    m.MATERIALPARTNAME as material_part,
    m.DESCRIPTION as material_description,
    m.MATERIALLOTNAME as material_lot,
    m.VENDORLOTNUMBER as vendor_lot,
    m.UOMNAME as unit,
    m.PRIMARY_CATEGORY as primary_category,
    m.SECONDARY_CATEGORY as secondary_category,
    m.QTYREQUIRED as qty_required,
    m.QTYCONSUMED as qty_consumed,
    m.TXNDATE as txn_time
from DWH.DW_MES_LOTMATERIALSHISTORY m
left join DWH.DW_MES_CONTAINER c on c.CONTAINERID = m.CONTAINERID
where m.CONTAINERID in (:ids)
fetch first :row_limit rows only
