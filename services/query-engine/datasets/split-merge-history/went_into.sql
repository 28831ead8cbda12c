-- One row per split or combination that one of the lots :ids went into. Columns, key and times as in came_of.sql.
-- Binds: :ids, :row_limit.
select
    m.HISTORYMAINLINEID as transaction_id,
    case when m.CDONAME = 'SplitLot' then 'split' else 'combine' end as operation,
    m.TXNDATE as txn_time,
    m.FROMCONTAINERID as source_id,
    m.FROMCONTAINERNAME as source_lot,
    m.CONTAINERID as target_id,
    m.CONTAINERNAME as target_lot,
    m.FROMQTY as source_qty,
    m.QTY as target_qty
from DWH.DW_MES_HM_LOTMOVEOUT m
where m.FROMCONTAINERID in (:ids)
  and m.CDONAME in ('SplitLot', 'CombineLot')
  and m.FROMCONTAINERID is not null
fetch first :row_limit rows only
