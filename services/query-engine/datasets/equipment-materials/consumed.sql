-- One row per consumption of material on one of :equipment_ids in [:start_time, :end_time). No key. Times: plant-local.
-- Binds: :start_time, :end_time, :equipment_ids, :row_limit. In no order.
-- Consumptions name their machine; the master says which names the keys have.
with machine as (
    select r.RESOURCEID as equipment_id, trim(r.RESOURCENAME) as machine
    from DWH.DW_MES_RESOURCE r
    where r.RESOURCEID in (:equipment_ids)
)

select
    k.equipment_id,
    k.machine,
    m.CONTAINERID as container_id,
    coalesce(nullif(trim(c.CONTAINERNAME), ''), m.CONTAINERID) as lot_id,
    m.PJ_WORKORDER as workorder,
    m.WORKCENTERNAME as workcenter,
    m.SPECNAME as spec,
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
join machine k on k.machine = trim(m.EQUIPMENTNAME)
left join DWH.DW_MES_CONTAINER c on c.CONTAINERID = m.CONTAINERID
where m.TXNDATE >= :start_time
  and m.TXNDATE < :end_time
fetch first :row_limit rows only
