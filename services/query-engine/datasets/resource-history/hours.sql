-- One row per machine and calendar day in [:start_time, :end_time): its hours in each state. Key: resource_id and day.
-- Times: plant-local; hours with six decimals, exact. Binds: :start_time, :end_time, :row_limit. In no order.
-- A day's rows are summed here because a year of them is tens of millions; both binds are midnights, so no day is cut.
-- day_time is the first instant of the day that has a row, one value per row, and stands for the day.
-- Which machines the plant counts is settled in derive.sql; here only what is no machine at all is left out.
select
    s.HISTORYID as resource_id,
    min(s.TXNDATE) as day_time,
    sum(case when trim(s.OLDSTATUSNAME) = 'PRD' then coalesce(s.HOURS, 0) else 0 end) as prd_hours,
    sum(case when trim(s.OLDSTATUSNAME) = 'SBY' then coalesce(s.HOURS, 0) else 0 end) as sby_hours,
    sum(case when trim(s.OLDSTATUSNAME) = 'UDT' then coalesce(s.HOURS, 0) else 0 end) as udt_hours,
    sum(case when trim(s.OLDSTATUSNAME) = 'SDT' then coalesce(s.HOURS, 0) else 0 end) as sdt_hours,
    sum(case when trim(s.OLDSTATUSNAME) = 'EGT' then coalesce(s.HOURS, 0) else 0 end) as egt_hours,
    sum(case when trim(s.OLDSTATUSNAME) = 'NST' then coalesce(s.HOURS, 0) else 0 end) as nst_hours,
    sum(coalesce(s.HOURS, 0)) as total_hours
from DWH.DW_MES_RESOURCESTATUS_SHIFT s
where s.TXNDATE >= :start_time
  and s.TXNDATE < :end_time
  and s.HISTORYID in (
      select r.RESOURCEID
      from DWH.DW_MES_RESOURCE r
      where ((r.OBJECTCATEGORY = 'ASSEMBLY' and r.OBJECTTYPE = 'ASSEMBLY')
          or (r.OBJECTCATEGORY = 'WAFERSORT' and r.OBJECTTYPE = 'WAFERSORT'))
  )
group by
    s.HISTORYID,
    extract(year from s.TXNDATE),
    extract(month from s.TXNDATE),
    extract(day from s.TXNDATE)
fetch first :row_limit rows only
