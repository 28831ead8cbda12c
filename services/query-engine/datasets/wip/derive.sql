-- One row per lot in process. Key: container_id. Rows of one lot that differ in lead frame or wafer description are
-- one: these texts are put together, everything else is that of the first by lead frame and wafer.
with ranked as (
    select
        lots.*,
        row_number() over (
            partition by container_id
            order by lead_frame nulls last, wafer_description nulls last, lead_frame_option nulls last, equipment nulls last
        ) as choice
    from lots
),

texts as (
    select
        container_id,
        string_agg(distinct wafer_description, ', ' order by wafer_description) as wafer_description,
        string_agg(distinct lead_frame, ', ' order by lead_frame) as lead_frame,
        string_agg(distinct lead_frame_description, ', ' order by lead_frame_description) as lead_frame_description,
        string_agg(distinct lead_frame_option, ', ' order by lead_frame_option) as lead_frame_option
    from lots
    group by container_id
),

status as (
    select
        ranked.*,
        case
            when equipment_count > 0 then 'RUN'
            when hold_count > 0 then 'HOLD'
            else 'QUEUE'
        end as wip_status
    from ranked
    where choice = 1
)

select
    status.container_id,
    status.lot_id,
    status.workorder,
    status.qty,
    status.qty2,
    status.lot_state,
    status.hold_count,
    status.equipment_count,
    status.equipment,
    status.hold_reason,
    status.hold_employee,
    status.hold_department,
    status.hold_comment,
    status.future_hold_comment,
    status.comment_time,
    status.comment_employee,
    status.spec,
    status.spec_sequence,
    status.workflow_step,
    status.workcenter,
    status.workcenter_short,
    status.workcenter_group,
    status.group_sequence,
    status.product,
    status.product_line,
    status.package,
    status.pj_type,
    status.pj_function,
    status.bop,
    status.workflow,
    status.wafer_lot,
    status.wafer_name,
    texts.wafer_description,
    status.wafer_lots,
    texts.lead_frame,
    texts.lead_frame_description,
    texts.lead_frame_option,
    status.material_kind,
    status.compound,
    status.owner,
    status.priority,
    status.start_time,
    status.start_reason,
    status.due_day,
    status.age_days,
    status.remaining_time,
    status.move_in_time,
    status.move_in_qty,
    status.date_code,
    status.location,
    status.hold_location,
    status.region,
    status.lot_comment,
    status.ncr_event,
    status.ncr_time,
    status.release_time,
    status.release_employee,
    status.release_reason,
    status.job_time,
    status.job_comment,
    status.data_time,
    status.wip_status,
    case
        when status.wip_status <> 'HOLD' then null
        when status.hold_reason in (select reason from non_quality_reasons) then 'non-quality'
        else 'quality'
    end as hold_type,
    contains(upper(status.lot_id), 'DUMMY') as dummy,
    case
        when status.age_days < 1 then '0-1'
        when status.age_days < 3 then '1-3'
        when status.age_days < 7 then '3-7'
        when status.age_days is not null then '7+'
    end as age_range
from status
join texts on texts.container_id = status.container_id
order by status.lot_id, status.container_id
