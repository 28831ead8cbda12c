-- One row per container of :ids and repair job that a machine had while the container was on it. Key: container_id and
-- detail. Times: plant-local. Binds: :ids, :row_limit. Read by the indexes on CONTAINERID and RESOURCEID. In no order.
-- A job belongs to a session when it was opened before the session's end and ended after its beginning. One that never
-- ended counts by its opening alone, or it would belong to every session that came after. A session that is not out yet
-- has no end.
select distinct
    h.CONTAINERID as container_id,
    coalesce(nullif(trim(c.CONTAINERNAME), ''), h.CONTAINERID) as lot_id,
    j.CREATEDATE as event_time,
    coalesce(j.COMPLETEDATE, j.CANCELDATE) as end_time,
    j.RESOURCENAME as machine,
    j.JOBMODELNAME as name,
    j.JOBORDERNAME as detail,
    j.JOBSTATUS as state,
    j.CREATE_EMPNAME as employee,
    c.OBJECTTYPE as object_type,
    c.PRODUCTLINENAME as package
from DWH.DW_MES_LOTWIPHISTORY h
join DWH.DW_MES_JOB j on j.RESOURCEID = h.EQUIPMENTID
left join DWH.DW_MES_CONTAINER c on c.CONTAINERID = h.CONTAINERID
where h.CONTAINERID in (:ids)
  and j.CREATEDATE <= coalesce(h.TRACKOUTTIMESTAMP, j.CREATEDATE)
  and coalesce(j.COMPLETEDATE, j.CANCELDATE, j.CREATEDATE) >= h.TRACKINTIMESTAMP
fetch first :row_limit rows only
