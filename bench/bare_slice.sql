-- The anchor of the cold query: the same columns of the same rows in one bare statement.
select
    h.HISTORYMAINLINEID,
    h.CONTAINERID,
    coalesce(nullif(trim(c.CONTAINERNAME), ''), h.CONTAINERID) as lot_id,
    h.PJ_WORKORDER,
    c.PRODUCTNAME,
    c.PRODUCTLINENAME,
    h.WORKCENTERNAME,
    h.HOLDREASONID,
    h.HOLDREASONNAME,
    coalesce(h.QTY, 0) as qty,
    h.HOLDTXNDATE,
    h.HOLDEMP,
    h.HOLDCOMMENTS,
    h.RELEASETXNDATE,
    h.RELEASEEMP,
    h.RELEASECOMMENTS,
    h.NCRID,
    h.FUTUREHOLDCOMMENTS
from DWH.DW_MES_HOLDRELEASEHISTORY h
left join DWH.DW_MES_CONTAINER c on c.CONTAINERID = h.CONTAINERID
where h.HOLDTXNDATE < timestamp '2025-12-31 07:30:00'
  and (h.RELEASETXNDATE is null or h.RELEASETXNDATE >= timestamp '2024-01-01 07:30:00')
