-- One row per hold placed in [:start_time, :end_time), with who placed it. Key: history_id. Times: plant-local.
-- Binds: :start_time, :end_time, :row_limit. In no order. A hold has one hold time, so consecutive ranges share no row.
select
    h.HISTORYMAINLINEID as history_id,
    h.CONTAINERID as container_id,
    coalesce(nullif(trim(c.CONTAINERNAME), ''), h.CONTAINERID) as lot_id,
    trim(h.HOLDEMPDEPTNAME) as department,
    trim(h.HOLDEMP) as employee,
    trim(h.HOLDREASONNAME) as hold_reason,
    coalesce(h.QTY, 0) as qty,
    h.HOLDTXNDATE as hold_time,
    h.RELEASETXNDATE as release_time
from DWH.DW_MES_HOLDRELEASEHISTORY h
left join DWH.DW_MES_CONTAINER c on c.CONTAINERID = h.CONTAINERID
where h.HOLDTXNDATE >= :start_time
  and h.HOLDTXNDATE < :end_time
fetch first :row_limit rows only
