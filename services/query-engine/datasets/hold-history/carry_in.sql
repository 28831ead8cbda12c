-- One row per hold that reaches into the range from before it: placed before :start_time and not released before it,
-- however long it lasted. Columns, key and times as in slice.sql. Binds: :start_time, :row_limit.
-- It depends on the start of the range only, and shares no row with any slice from there on. In no order.
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
where h.HOLDTXNDATE < :start_time
  and (h.RELEASETXNDATE is null or h.RELEASETXNDATE >= :start_time)
fetch first :row_limit rows only
