-- One row: figures over the selected lots. Each lot stands in the denominator once, whatever its reasons.
with lot as (
    select container_id, lot_id, input_qty
    from selected
    where kind = 'lot'
),

defect as (
    select container_id, cast(sum(qty) as bigint) as defect_qty
    from selected
    where kind = 'reject'
    group by container_id
),

reason as (
    select loss_reason, sum(qty) as qty
    from selected
    where kind = 'reject'
    group by loss_reason
),

machine as (
    select count(distinct (selected.workcenter_group, selected.equipment_id, selected.equipment)) as machine_count
    from selected
    join defect on defect.container_id = selected.container_id
    where selected.kind = 'machine'
),

total as (
    select
        count(*) as lot_count,
        cast(coalesce(sum(lot.input_qty), 0) as bigint) as input_qty,
        count(defect.container_id) as defective_lot_count,
        cast(coalesce(sum(defect.defect_qty), 0) as bigint) as defect_qty
    from lot
    left join defect on defect.container_id = lot.container_id
)

select
    total.input_qty as total_input_qty,
    total.lot_count,
    total.defective_lot_count,
    total.defect_qty as total_defect_qty,
    coalesce(
        cast((total.defect_qty * 2000000 + total.input_qty) // nullif(2 * total.input_qty, 0) as double) / 10000, 0
    ) as total_defect_rate,
    (select loss_reason from reason order by qty desc, loss_reason limit 1) as top_loss_reason,
    machine.machine_count as affected_machine_count
from total
cross join machine
order by lot_count
