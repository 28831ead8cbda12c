-- One row per lot.
select lot_id, workcenter, qty from selected
