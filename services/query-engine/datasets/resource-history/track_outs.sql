-- One row per partial track-out of a machine in [:start_time, :end_time). No key. Times: plant-local.
-- Binds: :start_time, :end_time, :row_limit. In no order. A track-out has one time, so consecutive ranges share no row.
-- Every partial counts with what it brought out. Track-outs at no machine, or at no named step, are produced nowhere.
select
    CONTAINERID as container_id,
    trim(SPECNAME) as spec,
    trim(WORKCENTERNAME) as workcenter,
    EQUIPMENTID as resource_id,
    TRACKOUTTIMESTAMP as track_out_time,
    coalesce(TRACKOUTQTY, 0) as track_out_qty
from DWH.DW_MES_LOTWIPHISTORY
where TRACKOUTTIMESTAMP >= :start_time
  and TRACKOUTTIMESTAMP < :end_time
  and EQUIPMENTID is not null
  and length(trim(SPECNAME)) > 0
  and length(trim(WORKCENTERNAME)) > 0
fetch first :row_limit rows only
