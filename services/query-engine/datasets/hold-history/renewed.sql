-- One row per hold of the transactions :ids, as it stands now. Columns, key and times as in slice.sql.
-- Binds: :ids, :row_limit. A hold that was open when its chunk was read is read again by this, through the index of its
-- transaction: its release is filled in later, and nothing else of a settled day appears or goes.
select
    h.HISTORYMAINLINEID as history_id,
    h.CONTAINERID as container_id,
    coalesce(nullif(trim(c.CONTAINERNAME), ''), h.CONTAINERID) as lot_id,
    h.PJ_WORKORDER as workorder,
    c.PRODUCTNAME as product,
    c.PRODUCTLINENAME as package,
    h.WORKCENTERNAME as workcenter,
    h.HOLDREASONID as hold_reason_id,
    h.HOLDREASONNAME as hold_reason,
    coalesce(h.QTY, 0) as qty,
    h.HOLDTXNDATE as hold_time,
    h.HOLDEMP as hold_employee,
    h.HOLDCOMMENTS as hold_comment,
    h.RELEASETXNDATE as release_time,
    h.RELEASEEMP as release_employee,
    h.RELEASECOMMENTS as release_comment,
    h.NCRID as ncr,
    h.FUTUREHOLDCOMMENTS as future_hold_comment
from DWH.DW_MES_HOLDRELEASEHISTORY h
left join DWH.DW_MES_CONTAINER c on c.CONTAINERID = h.CONTAINERID
where h.HISTORYMAINLINEID in (:ids)
fetch first :row_limit rows only
