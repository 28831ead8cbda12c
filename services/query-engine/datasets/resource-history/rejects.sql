-- One row per lot, step, work centre and calendar day in [:start_time, :end_time): the pieces charged off. Key: all four.
-- Times: plant-local. Binds: :start_time, :end_time, :row_limit. In no order. Read by the index on TXNDATE.
-- Charged off are the five parts; defects that are only recorded are not. Both binds are midnights, so no day is cut, and
-- day_time, the first instant of the day that has a row, stands for the day.
select
    CONTAINERID as container_id,
    trim(SPECNAME) as spec,
    trim(WORKCENTERNAME) as workcenter,
    min(TXNDATE) as day_time,
    sum(
        coalesce(REJECTQTY, 0) + coalesce(STANDBYQTY, 0) + coalesce(QTYTOPROCESS, 0) + coalesce(INPROCESSQTY, 0)
        + coalesce(PROCESSEDQTY, 0)
    ) as ng_qty
from DWH.DW_MES_LOTREJECTHISTORY
where TXNDATE >= :start_time
  and TXNDATE < :end_time
  and CONTAINERID is not null
group by
    CONTAINERID,
    trim(SPECNAME),
    trim(WORKCENTERNAME),
    extract(year from TXNDATE),
    extract(month from TXNDATE),
    extract(day from TXNDATE)
fetch first :row_limit rows only
