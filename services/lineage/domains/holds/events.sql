-- One row per hold of the given containers, open ones too. No key. Times: plant-local. Binds: ids = container ids,
-- blank-padded to 16. Read by the index on CONTAINERID.
select
    h.CONTAINERID as CONTAINERID,
    coalesce(nullif(trim(c.CONTAINERNAME), ''), h.CONTAINERID) as CONTAINERNAME,
    h.WORKCENTERNAME as WORKCENTERNAME,
    h.HOLDTXNDATE as HOLDTXNDATE,
    h.HOLDEMP as HOLDEMP,
    h.HOLDEMPDEPTNAME as HOLDEMPDEPTNAME,
    h.HOLDREASONNAME as HOLDREASONNAME,
    h.HOLDCOMMENTS as HOLDCOMMENTS,
    h.RELEASETXNDATE as RELEASETXNDATE,
    h.RELEASEEMP as RELEASEEMP,
    h.RELEASECOMMENTS as RELEASECOMMENTS,
    h.NCRID as NCRID,
    case when h.RELEASETXNDATE is null then 'HOLD' else 'RELEASED' end as HOLD_STATUS
from DWH.DW_MES_HOLDRELEASEHISTORY h
left join DWH.DW_MES_CONTAINER c on c.CONTAINERID = h.CONTAINERID
where h.CONTAINERID in (:ids)
order by h.HOLDTXNDATE desc, h.HISTORYMAINLINEID desc
