-- One row per track-out of the containers :ids on a machine; check points, which have none, are left out. No key: parts
-- of one session may be alike. Times: plant-local. Binds: :ids, :row_limit. Read by the index on CONTAINERID. In no
-- order.
select
    h.CONTAINERID as container_id,
    coalesce(nullif(trim(c.CONTAINERNAME), ''), h.CONTAINERID) as lot_id,
    h.EQUIPMENTID as equipment_id,
    h.EQUIPMENTNAME as machine,
    h.WORKCENTERNAME as workcenter,
    h.SPECNAME as spec,
    h.TRACKINTIMESTAMP as track_in_time,
    h.TRACKOUTTIMESTAMP as track_out_time,
    h.TRACKINQTY as track_in_qty,
    h.TRACKOUTQTY as track_out_qty,
    h.FINISHEDRUNCARD as run_card,
    h.PJ_WORKORDER as workorder,
    c.PJ_TYPE as pj_type,
    c.PJ_BOP as bop,
    c.FIRSTNAME as wafer_lot,
    c.PRODUCTLINENAME as package
from DWH.DW_MES_LOTWIPHISTORY h
left join DWH.DW_MES_CONTAINER c on c.CONTAINERID = h.CONTAINERID
where h.CONTAINERID in (:ids)
  and h.EQUIPMENTID is not null
  and h.TRACKINTIMESTAMP is not null
fetch first :row_limit rows only
