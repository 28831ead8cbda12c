-- One row per machine of :equipment_ids, container and instant in [:start_time, :end_time) of a track-in there.
-- Key: equipment_id, container_id, track_in_time. Times: plant-local. Binds: :start_time, :end_time, :equipment_ids,
-- :row_limit. Read by the index on TRACKINTIMESTAMP, since there is none on the machine. In no order.
select distinct
    h.EQUIPMENTID as equipment_id,
    coalesce(nullif(trim(r.RESOURCENAME), ''), h.EQUIPMENTNAME, h.EQUIPMENTID) as machine,
    coalesce(trim(r.WORKCENTERNAME), trim(h.WORKCENTERNAME)) as machine_workcenter,
    h.CONTAINERID as container_id,
    h.TRACKINTIMESTAMP as track_in_time
from DWH.DW_MES_LOTWIPHISTORY h
left join DWH.DW_MES_RESOURCE r on r.RESOURCEID = h.EQUIPMENTID
where h.TRACKINTIMESTAMP >= :start_time
  and h.TRACKINTIMESTAMP < :end_time
  and h.EQUIPMENTID in (:equipment_ids)
  and h.CONTAINERID is not null
fetch first :row_limit rows only
