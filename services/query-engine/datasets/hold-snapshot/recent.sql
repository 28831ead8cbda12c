-- One row per hold that is open, or was placed or released in the last three days. Key: history_id. Times: plant-local.
-- Binds: :row_limit. In no order. The days are counted back from the last event of the table, which no clock of ours is
-- needed for and which is never after the plant's: what a production day needs is always there, and a little more.
-- Some 300 thousand rows are scanned in a second or two; there is no index on the two times.
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
where h.HOLDTXNDATE is not null
  and (h.RELEASETXNDATE is null
    or h.HOLDTXNDATE >= (select max(x.HOLDTXNDATE) - interval '3' day from DWH.DW_MES_HOLDRELEASEHISTORY x)
    or h.RELEASETXNDATE >= (select max(x.HOLDTXNDATE) - interval '3' day from DWH.DW_MES_HOLDRELEASEHISTORY x))
fetch first :row_limit rows only
