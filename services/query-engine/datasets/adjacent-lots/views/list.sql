-- One row per session around the target; key: relative_position. What else it yields serves the order only.
select
    relative_position,
    lot_id,
    machine,
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
    partial_count,
    container_id
from neighbours
where target_number = $target_number
