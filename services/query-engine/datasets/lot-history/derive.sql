-- One row per session of the query, or per part where the parts of one differ. Key: row_number.
-- A session is what shares container_id, equipment_id, spec and track_in_time; missing ones are equal.
-- What was loaded is the most of what was left when any part began, what went out is the sum. Parts that differ in
-- anything else stay rows of their own, so that no row hides a difference.
with part as (
    select
        container_id,
        lot_id,
        equipment_id,
        machine,
        workcenter,
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
        package
    from partials
    union all
    select
        container_id,
        lot_id,
        equipment_id,
        machine,
        workcenter,
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
        package
    from partials_of
),

session as (
    select
        container_id,
        equipment_id,
        spec,
        track_in_time,
        lot_id,
        machine,
        workcenter,
        run_card,
        workorder,
        pj_type,
        bop,
        wafer_lot,
        package,
        max(track_out_time) as track_out_time,
        max(track_in_qty) as track_in_qty,
        coalesce(sum(track_out_qty), 0) as track_out_qty,
        count(*) as partial_count,
        count(*) over (partition by container_id, equipment_id, spec, track_in_time) as variant_count
    from part
    group by
        container_id,
        equipment_id,
        spec,
        track_in_time,
        lot_id,
        machine,
        workcenter,
        run_card,
        workorder,
        pj_type,
        bop,
        wafer_lot,
        package
),

mixed as (
    select distinct container_id, equipment_id, spec, track_in_time
    from session
    where variant_count > 1
),

collapsed as (
    select
        container_id,
        lot_id,
        equipment_id,
        machine,
        workcenter,
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
        partial_count
    from session
    where variant_count = 1
    union all
    select
        part.container_id,
        part.lot_id,
        part.equipment_id,
        part.machine,
        part.workcenter,
        part.spec,
        part.track_in_time,
        part.track_out_time,
        part.track_in_qty,
        coalesce(part.track_out_qty, 0),
        part.run_card,
        part.workorder,
        part.pj_type,
        part.bop,
        part.wafer_lot,
        part.package,
        1
    from part
    semi join mixed session
        on session.container_id is not distinct from part.container_id
        and session.equipment_id is not distinct from part.equipment_id
        and session.spec is not distinct from part.spec
        and session.track_in_time is not distinct from part.track_in_time
)

select
    row_number() over (
        order by collapsed.track_in_time nulls last, collapsed.container_id, collapsed.equipment_id, collapsed.spec,
            collapsed.track_out_time nulls last, collapsed.track_in_qty desc, collapsed.track_out_qty,
            collapsed.run_card, collapsed.workorder, collapsed.workcenter, collapsed.machine
    ) as row_number,
    collapsed.container_id,
    collapsed.lot_id,
    collapsed.equipment_id,
    collapsed.machine,
    collapsed.workcenter,
    coalesce(workcenter_groups.workcenter_group, collapsed.workcenter) as workcenter_group,
    coalesce(workcenter_groups.group_sequence, 999) as group_sequence,
    collapsed.spec,
    collapsed.track_in_time,
    collapsed.track_out_time,
    collapsed.track_in_qty,
    cast(collapsed.track_out_qty as bigint) as track_out_qty,
    collapsed.run_card,
    collapsed.workorder,
    collapsed.pj_type,
    collapsed.bop,
    collapsed.wafer_lot,
    collapsed.package,
    collapsed.partial_count
from collapsed
left join workcenter_groups on workcenter_groups.workcenter = collapsed.workcenter
order by row_number
