-- One row per partial track-out of the given containers, as the plant wrote it; rows without machine or track-in time
-- are left out. No key: partials of one session may be alike. Times: plant-local. Binds: ids = container ids,
-- blank-padded to 16. Read by the index on CONTAINERID.
select
    h.CONTAINERID as CONTAINERID,
    h.WORKCENTERNAME as WORKCENTERNAME,
    h.EQUIPMENTID as EQUIPMENTID,
    h.EQUIPMENTNAME as EQUIPMENTNAME,
    h.SPECNAME as SPECNAME,
    h.TRACKINTIMESTAMP as TRACKINTIMESTAMP,
    h.TRACKOUTTIMESTAMP as TRACKOUTTIMESTAMP,
    h.TRACKINQTY as TRACKINQTY,
    h.TRACKOUTQTY as TRACKOUTQTY,
    h.FINISHEDRUNCARD as FINISHEDRUNCARD,
    h.PJ_WORKORDER as PJ_WORKORDER,
    c.CONTAINERNAME as CONTAINERNAME,
    c.PJ_TYPE as PJ_TYPE,
    c.PJ_BOP as PJ_BOP,
    c.PRODUCTLINENAME as PRODUCTLINENAME,
    c.FIRSTNAME as WAFER_LOT_ID
from DWH.DW_MES_LOTWIPHISTORY h
left join DWH.DW_MES_CONTAINER c on c.CONTAINERID = h.CONTAINERID
where h.CONTAINERID in (:ids)
  and h.EQUIPMENTID is not null
  and h.TRACKINTIMESTAMP is not null
-- Partials of a session in the order in which they went out.
order by h.TRACKINTIMESTAMP, h.CONTAINERID, h.EQUIPMENTID, h.SPECNAME, h.TRACKINQTY desc, h.TRACKOUTTIMESTAMP
