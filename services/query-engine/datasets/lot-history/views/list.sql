-- One row per selected session; key: row_number, which serves the order only.
select
    lot_id,
    machine,
    workcenter,
    workcenter_group,
    spec,
    track_in_time,
    track_out_time,
    track_in_qty,
    track_out_qty,
    run_card,
    workorder,
    pj_type,
    bop,
    wafer_lot,
    package,
    partial_count,
    row_number
from selected
