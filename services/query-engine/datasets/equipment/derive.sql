-- One row per machine of the equipment master, and one per lot on it, told apart by `kind`. Key: resource_id, kind,
-- lot_id. A lot counts once, with the most pieces of its rows, however often the plant repeats it. What a machine has
-- one of, a status and a job, is that of its first row with a job, by job and lot. A machine that the plant tells
-- nothing of is there without a status.
with known as (
    select machines.*
    from machines
    where (machines.location is null or machines.location not in (select location from denied_locations))
      and (machines.asset_state is null or machines.asset_state not in (select asset_state from denied_asset_states))
),

ranked as (
    select
        live.*,
        row_number() over (
            partition by resource_id order by job_order nulls last, lot_id nulls last, track_in_time, status
        ) as choice,
        row_number() over (
            partition by resource_id, lot_id order by track_in_qty desc nulls last, track_in_time desc nulls last
        ) as lot_choice
    from live
),

lot as (
    select
        resource_id, lot_id, track_in_qty, track_in_time, track_in_employee, package, pj_function, pj_type, bop, spec,
        wafer_lot, wafer_part
    from ranked
    where lot_choice = 1
      and lot_id is not null
),

loaded as (
    select
        resource_id,
        count(*) as lot_count,
        cast(coalesce(sum(track_in_qty), 0) as bigint) as total_track_in_qty,
        max(track_in_time) as latest_track_in_time
    from lot
    group by resource_id
),

machine as (
    select
        known.resource_id,
        known.machine,
        known.family,
        known.workcenter,
        coalesce(workcenter_groups.workcenter_group, known.workcenter) as workcenter_group,
        coalesce(workcenter_groups.group_sequence, 999) as group_sequence,
        known.location,
        known.department,
        known.package_group,
        known.is_production,
        known.is_key,
        known.is_monitor,
        ranked.status,
        ranked.status_reason,
        ranked.job_order,
        ranked.job_model,
        ranked.job_stage,
        ranked.job_state,
        ranked.job_time,
        ranked.job_creator,
        ranked.technician,
        ranked.symptom,
        ranked.cause,
        ranked.repair,
        case
            when ranked.status in ('PRD', '設備-RUN') then 'PRODUCTIVE'
            when ranked.status = 'SBY' then 'STANDBY'
            when ranked.status in ('UDT', 'SDT') then 'DOWN'
            when ranked.status = 'EGT' then 'ENGINEERING'
            when ranked.status = 'NST' then 'NOT_SCHEDULED'
            when ranked.status in ('SCRAP', '設備-LOST') then 'INACTIVE'
            when ranked.status is not null then 'OTHER'
        end as status_category,
        coalesce(loaded.lot_count, 0) as lot_count,
        coalesce(loaded.total_track_in_qty, 0) as total_track_in_qty,
        loaded.latest_track_in_time
    from known
    left join ranked on ranked.resource_id = known.resource_id and ranked.choice = 1
    left join loaded on loaded.resource_id = known.resource_id
    left join workcenter_groups on workcenter_groups.workcenter = known.workcenter
)

select
    'machine' as kind,
    machine.*,
    cast(null as varchar) as lot_id,
    cast(null as bigint) as track_in_qty,
    cast(null as timestamp_s) as track_in_time,
    cast(null as varchar) as track_in_employee,
    cast(null as varchar) as package,
    cast(null as varchar) as pj_function,
    cast(null as varchar) as pj_type,
    cast(null as varchar) as bop,
    cast(null as varchar) as spec,
    cast(null as varchar) as wafer_lot,
    cast(null as varchar) as wafer_part
from machine
union all
select
    'lot',
    machine.*,
    lot.lot_id,
    lot.track_in_qty,
    lot.track_in_time,
    lot.track_in_employee,
    lot.package,
    lot.pj_function,
    lot.pj_type,
    lot.bop,
    lot.spec,
    lot.wafer_lot,
    lot.wafer_part
from machine
join lot on lot.resource_id = machine.resource_id
order by resource_id, kind, lot_id
