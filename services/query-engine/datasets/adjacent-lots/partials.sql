-- One row per track-out of what was tracked in on the machine :equipment_id in [:start_time, :end_time). No key. Times:
-- plant-local. Binds: :start_time, :end_time, :equipment_id, :row_limit. Read by the index on TRACKINTIMESTAMP, since
-- there is none on the machine. In no order.
select
    h.CONTAINERID as container_id,
    coalesce(nullif(trim(c.CONTAINERNAME), ''), h.CONTAINERID) as lot_id,
    h.EQUIPMENTID as equipment_id,
    h.EQUIPMENTNAME as machine,
    h.SPECNAME as spec,
    h.TRACKINTIMESTAMP as track_in_time,
    h.TRACKOUTTIMESTAMP as track_out_time,
    h.TRACKINQTY as track_in_qty,
    h.TRACKOUTQTY as track_out_qty,
    h.FINISHEDRUNCARD as run_card,
    h.PJ_WORKORDER as workorder,
    c.PJ_TYPE as pj_type,
    c.PJ_BOP as bop,
    c.FIRSTNAME as wafer_lot
from DWH.DW_MES_LOTWIPHISTORY h
left join DWH.DW_MES_CONTAINER c on c.CONTAINERID = h.CONTAINERID
where h.TRACKINTIMESTAMP >= :start_time
  and h.TRACKINTIMESTAMP < :end_time
  and h.EQUIPMENTID = :equipment_id
fetch first :row_limit rows only
