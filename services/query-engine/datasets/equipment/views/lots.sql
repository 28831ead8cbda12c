-- One row per selected machine and lot on it; key: machine, resource_id and lot_id; the second serves the order only.
select
    machine,
    workcenter_group,
    status,
    lot_id,
    track_in_qty,
    track_in_time,
    track_in_employee,
    package,
    pj_function,
    pj_type,
    bop,
    spec,
    wafer_lot,
    wafer_part,
    resource_id
from selected
where kind = 'lot'
