-- One row per transaction, and per combination of a lot into a serial number, told apart by `kind`. Key: row_number.
-- A transaction between two lots of the work orders is read from both sides and is one.
with transaction as (
    select
        transaction_id,
        operation,
        txn_time,
        source_id,
        source_lot,
        target_id,
        target_lot,
        source_qty,
        target_qty
    from came_of
    union
    select
        transaction_id,
        operation,
        txn_time,
        source_id,
        source_lot,
        target_id,
        target_lot,
        source_qty,
        target_qty
    from went_into
),

asked as (
    select distinct container_id from containers
),

operation as (
    select
        'transaction' as kind,
        transaction.transaction_id,
        transaction.operation,
        transaction.txn_time,
        transaction.source_id,
        transaction.source_lot,
        transaction.target_id,
        transaction.target_lot,
        transaction.source_qty,
        transaction.target_qty,
        transaction.source_id in (select container_id from asked) as source_asked,
        transaction.target_id in (select container_id from asked) as target_asked,
        cast(null as varchar) as serial,
        cast(null as varchar) as container_id,
        cast(null as varchar) as lot_id,
        cast(null as varchar) as workorder,
        cast(null as double) as combined_ratio,
        cast(null as bigint) as good_die_qty,
        cast(null as bigint) as original_good_die_qty,
        cast(null as timestamp) as start_time,
        cast(null as boolean) as lot_asked
    from transaction
    union all
    select
        'serial',
        cast(null as varchar),
        cast(null as varchar),
        cast(null as timestamp),
        cast(null as varchar),
        cast(null as varchar),
        cast(null as varchar),
        cast(null as varchar),
        cast(null as bigint),
        cast(null as bigint),
        cast(null as boolean),
        cast(null as boolean),
        serial_lots.serial,
        serial_lots.container_id,
        serial_lots.lot_id,
        serial_lots.workorder,
        serial_lots.combined_ratio,
        serial_lots.good_die_qty,
        serial_lots.original_good_die_qty,
        serial_lots.start_time,
        serial_lots.container_id in (select container_id from asked)
    from serial_lots
)

select
    row_number() over (
        order by operation.kind, operation.txn_time, operation.transaction_id, operation.serial, operation.lot_id,
            operation.container_id, operation.start_time, operation.good_die_qty, operation.combined_ratio
    ) as row_number,
    operation.kind,
    operation.transaction_id,
    operation.operation,
    operation.txn_time,
    operation.source_id,
    operation.source_lot,
    operation.target_id,
    operation.target_lot,
    operation.source_qty,
    operation.target_qty,
    operation.source_asked,
    operation.target_asked,
    operation.serial,
    operation.container_id,
    operation.lot_id,
    operation.workorder,
    operation.combined_ratio,
    operation.good_die_qty,
    operation.original_good_die_qty,
    operation.start_time,
    operation.lot_asked
from operation
order by row_number
