-- One row per hold placed in [:start_time, :end_time), with its release as far as there is one.
-- Key: history_id. Times: plant-local, to the second, no zone. Binds: :start_time, :end_time, :row_limit.
-- A hold has exactly one hold time, so consecutive ranges never share a row; rows without one belong to no range.
-- In no order: derive.sql orders all chunks together, and a sort here would cost the warehouse for nothing.
-- Blanks at the right end fall to the declared types; only the lot name is trimmed here, since a blank one gives way
-- to the lot's id.
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
where h.HOLDTXNDATE >= :start_time
  and h.HOLDTXNDATE < :end_time
fetch first :row_limit rows only
