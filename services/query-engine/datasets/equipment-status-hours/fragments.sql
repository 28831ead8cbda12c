-- One row per status fragment of one of :equipment_ids booked in [:start_time, :end_time). Key: fragment_id.
-- Times: plant-local. Binds: :start_time, :end_time, :equipment_ids, :row_limit. Read by the indexes on TXNDATE and
-- HISTORYID. In no order. The status that lasted these hours is the old one.
select
    s.RESOURCESTATUSHISTORYID as fragment_id,
    s.HISTORYID as equipment_id,
    coalesce(nullif(trim(r.RESOURCENAME), ''), s.HISTORYID) as machine,
    r.RESOURCEFAMILYNAME as family,
    r.WORKCENTERNAME as workcenter,
    s.OLDSTATUSNAME as status,
    s.OLDREASONNAME as reason,
    s.OLDLASTSTATUSCHANGEDATE as fragment_start_time,
    s.LASTSTATUSCHANGEDATE as fragment_end_time,
    s.TXNDATE as txn_time,
    s.HOURS as hours
from DWH.DW_MES_RESOURCESTATUS_SHIFT s
left join DWH.DW_MES_RESOURCE r on r.RESOURCEID = s.HISTORYID
where s.TXNDATE >= :start_time
  and s.TXNDATE < :end_time
  and s.HISTORYID in (:equipment_ids)
fetch first :row_limit rows only
