-- One row per lot in process.
select lot_id, workcenter, qty from lots order by lot_id, workcenter
