-- One row per target and session around it. Key: target_number and relative_position. A session is what one lot had
-- in since one instant, all parts together, so parts use up no place; equal instants are told apart by the lot's key.
-- A run is sessions of one product type in a row, and a missing type is a type of its own. What is shown of a target
-- is its run with one session on either side, and three sessions on either side at least.
with session as (
    select
        container_id,
        track_in_time,
        min(lot_id) as lot_id,
        min(equipment_id) as equipment_id,
        min(machine) as machine,
        min(spec) as spec,
        min(run_card) as run_card,
        min(workorder) as workorder,
        min(pj_type) as pj_type,
        min(bop) as bop,
        min(wafer_lot) as wafer_lot,
        max(track_out_time) as track_out_time,
        max(track_in_qty) as track_in_qty,
        cast(coalesce(sum(track_out_qty), 0) as bigint) as track_out_qty,
        count(*) as partial_count
    from partials
    group by container_id, track_in_time
),

numbered as (
    select
        session.*,
        row_number() over (order by track_in_time, container_id) as position
    from session
),

changed as (
    select
        numbered.*,
        case
            when pj_type is not distinct from lag(pj_type) over (order by position) then 0
            else 1
        end as change
    from numbered
),

run as (
    select
        changed.*,
        sum(change) over (order by position rows unbounded preceding) as run_number
    from changed
),

bounded as (
    select
        run.*,
        min(position) over (partition by run_number) as first_position,
        max(position) over (partition by run_number) as last_position
    from run
),

target as (
    select
        row_number() over (order by position) as target_number,
        position,
        least(first_position - 1, position - 3) as from_position,
        greatest(last_position + 1, position + 3) as to_position
    from bounded
    where lot_id = $lot_id
)

select
    target.target_number,
    numbered.position - target.position as relative_position,
    numbered.container_id,
    numbered.lot_id,
    numbered.equipment_id,
    numbered.machine,
    numbered.spec,
    numbered.track_in_time,
    numbered.track_out_time,
    numbered.track_in_qty,
    numbered.track_out_qty,
    numbered.run_card,
    numbered.workorder,
    numbered.pj_type,
    numbered.bop,
    numbered.wafer_lot,
    numbered.partial_count
from target
join numbered on numbered.position between target.from_position and target.to_position
order by target.target_number, numbered.position
