-- One row per selected transaction; key: row_number, which serves the order only.
select
    operation,
    txn_time,
    source_lot,
    target_lot,
    source_qty,
    target_qty,
    source_asked,
    target_asked,
    row_number
from selected
where kind = 'transaction'
