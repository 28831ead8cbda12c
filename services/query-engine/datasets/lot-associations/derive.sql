-- One row per consumption, reject, hold and job of the query. Key: row_number; rows that are alike in everything are
-- told apart by nothing else. A reject is left out of statistics when its reason, or the code before the first
-- underscore, is on the plant's list, or when it is not three digits and an underscore: technical reasons, none at all.
-- Rejects are charged to the group of their step.
with association as (
    select
        'material' as kind,
        container_id,
        lot_id,
        event_time,
        cast(null as timestamp) as end_time,
        workcenter,
        spec,
        machine,
        name,
        detail,
        state,
        qty,
        cast(null as decimal(28, 8)) as defect_qty,
        null as employee,
        object_type,
        package
    from materials
    union all
    select
        'material' as kind,
        container_id,
        lot_id,
        event_time,
        cast(null as timestamp) as end_time,
        workcenter,
        spec,
        machine,
        name,
        detail,
        state,
        qty,
        cast(null as decimal(28, 8)) as defect_qty,
        null as employee,
        object_type,
        package
    from materials_of
    union all
    select
        'reject' as kind,
        container_id,
        lot_id,
        event_time,
        cast(null as timestamp) as end_time,
        workcenter,
        spec,
        machine,
        name,
        detail,
        null as state,
        qty,
        defect_qty,
        employee,
        object_type,
        package
    from rejects
    union all
    select
        'reject' as kind,
        container_id,
        lot_id,
        event_time,
        cast(null as timestamp) as end_time,
        workcenter,
        spec,
        machine,
        name,
        detail,
        null as state,
        qty,
        defect_qty,
        employee,
        object_type,
        package
    from rejects_of
    union all
    select
        'hold' as kind,
        container_id,
        lot_id,
        event_time,
        end_time,
        workcenter,
        spec,
        null as machine,
        name,
        detail,
        state,
        qty,
        cast(null as decimal(28, 8)) as defect_qty,
        employee,
        object_type,
        package
    from holds
    union all
    select
        'hold' as kind,
        container_id,
        lot_id,
        event_time,
        end_time,
        workcenter,
        spec,
        null as machine,
        name,
        detail,
        state,
        qty,
        cast(null as decimal(28, 8)) as defect_qty,
        employee,
        object_type,
        package
    from holds_of
    union all
    select
        'job' as kind,
        container_id,
        lot_id,
        event_time,
        end_time,
        null as workcenter,
        null as spec,
        machine,
        name,
        detail,
        state,
        cast(null as decimal(28, 8)) as qty,
        cast(null as decimal(28, 8)) as defect_qty,
        employee,
        object_type,
        package
    from jobs
    union all
    select
        'job' as kind,
        container_id,
        lot_id,
        event_time,
        end_time,
        null as workcenter,
        null as spec,
        machine,
        name,
        detail,
        state,
        cast(null as decimal(28, 8)) as qty,
        cast(null as decimal(28, 8)) as defect_qty,
        employee,
        object_type,
        package
    from jobs_of
)

select
    row_number() over (
        order by association.event_time, association.kind, association.lot_id, association.container_id,
            association.name, association.detail, association.machine, association.spec, association.qty,
            association.defect_qty, association.end_time, association.state, association.employee
    ) as row_number,
    association.kind,
    association.container_id,
    association.lot_id,
    association.event_time,
    association.end_time,
    association.workcenter,
    coalesce(
        spec_workcenters.workcenter_group, workcenter_groups.workcenter_group, association.workcenter
    ) as workcenter_group,
    association.spec,
    association.machine,
    association.name,
    association.detail,
    association.state,
    association.qty,
    association.defect_qty,
    association.employee,
    association.object_type,
    association.package,
    association.kind = 'reject' and not (
        regexp_matches(coalesce(association.name, ''), '^[0-9][0-9][0-9]_')
        and upper(association.name) not in (select reason from excluded_scrap_reasons)
        and upper(split_part(association.name, '_', 1)) not in (select reason from excluded_scrap_reasons)
    ) as excluded_scrap,
    association.kind = 'reject' and coalesce(starts_with(association.package, 'PB_'), false) as pb_package
from association
left join workcenter_groups on workcenter_groups.workcenter = association.workcenter
left join spec_workcenters on association.kind = 'reject' and spec_workcenters.spec = association.spec
order by row_number
