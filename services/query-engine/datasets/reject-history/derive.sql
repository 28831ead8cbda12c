-- One row per reject of the query. No key; event_id tells which rows are of one transaction.
-- Days are calendar days. What is not known is shown as '(NA)', a reason that was not filled in as '(not filled)'.
-- A step stands in the work centre of the dictionary, else in the one that the row names; sequence 999 then.
-- is_policy_scrap says whether statistics count the reason: named like 123_text, and on no list of exclusions, neither
-- by its code (what stands before the first underscore, blank or hyphen) nor by its name.
-- Charged off are the five parts; defects stand apart.
-- One of the two parts has rows: those of a range, or those of lots whenever they were booked.
-- A transaction is booked at one time. What it counts once, and which lots and work orders a day has once, is found here
-- once: views need no distinct count of rows that are alone (event_row_count = 1, reasons_differ, lot_alone,
-- workorder_alone), whatever narrows them.
-- `lone_lots` needs all rows of a lot and nothing of other lots, `lone_workorders` those of a work order; all else here
-- needs rows of one time alone.
with raw as (
    select
        history_id, container_id, lot_id, workorder, spec_id, spec, own_workcenter, equipment, scrap_object_type, package,
        pj_type, pj_function, product, loss_reason, reject_comment, txn_time, movein_qty, reject_qty, standby_qty,
        to_process_qty, in_process_qty, processed_qty, defect_qty
    from rejects
    union all
    select
        history_id, container_id, lot_id, workorder, spec_id, spec, own_workcenter, equipment, scrap_object_type, package,
        pj_type, pj_function, product, loss_reason, reject_comment, txn_time, movein_qty, reject_qty, standby_qty,
        to_process_qty, in_process_qty, processed_qty, defect_qty
    from rejects_of
),

booked as (
    select
        coalesce(
            history_id,
            concat_ws(
                ':', coalesce(container_id, ''), strftime(txn_time, '%Y-%m-%d %H:%M:%S'), coalesce(spec_id, '-')
            )
        ) as event_id,
        raw.*
    from raw
),

event as (
    select
        event_id,
        txn_time,
        -- Whole numbers are told apart sooner than texts: the second, and which of its transactions; below 2^53, which is
        -- as far as the page counts exactly.
        coalesce(cast(epoch(txn_time) as bigint), 0) * 1048576
            + row_number() over (partition by txn_time order by event_id) as event_number,
        count(*) as event_row_count,
        count(distinct loss_reason) = count(*) as reasons_differ,
        min(coalesce(package, '')) = max(coalesce(package, ''))
            and min(coalesce(pj_type, '')) = max(coalesce(pj_type, '')) as event_of_one_kind
    from booked
    group by event_id, txn_time
),

lone_lots as (
    select lot_id, loss_reason, min(txn_time) as txn_time
    from raw
    where lot_id <> '(NA)' and loss_reason <> '(not filled)'
    group by lot_id, loss_reason, cast(txn_time as date)
    having count(*) = 1
),

lone_workorders as (
    select workorder, loss_reason, min(txn_time) as txn_time
    from raw
    where workorder is not null and loss_reason <> '(not filled)'
    group by workorder, loss_reason, cast(txn_time as date)
    having count(*) = 1
)

select
    booked.event_id,
    booked.txn_time,
    cast(booked.txn_time as date) as txn_day,
    strftime(booked.txn_time, '%Y-%m') as txn_month,
    booked.container_id,
    coalesce(booked.lot_id, '(NA)') as lot_id,
    booked.workorder,
    coalesce(spec_workcenters.workcenter_group, booked.own_workcenter, '(NA)') as workcenter_group,
    case
        when spec_workcenters.workcenter_group is null then 999
        else coalesce(spec_workcenters.group_sequence, 999)
    end as group_sequence,
    coalesce(spec_workcenters.workcenter, booked.own_workcenter, '(NA)') as workcenter,
    coalesce(booked.spec, '(NA)') as spec,
    coalesce(booked.equipment, '(NA)') as equipment,
    coalesce(booked.scrap_object_type, '(NA)') as scrap_object_type,
    coalesce(booked.package, '(NA)') as package,
    coalesce(booked.pj_type, '(NA)') as pj_type,
    coalesce(booked.pj_function, '(NA)') as pj_function,
    coalesce(booked.product, '(NA)') as product,
    coalesce(booked.loss_reason, '(not filled)') as loss_reason,
    coalesce(
        nullif(regexp_extract(booked.loss_reason, '^[^_ -]*'), ''), booked.loss_reason, '(not filled)'
    ) as loss_reason_code,
    booked.loss_reason is not null
        and regexp_matches(booked.loss_reason, '^[0-9]{3}_')
        and upper(booked.loss_reason) not in (select reason from excluded_scrap_reasons)
        and upper(loss_reason_code) not in (select reason from excluded_scrap_reasons) as is_policy_scrap,
    booked.reject_comment,
    booked.movein_qty,
    booked.reject_qty,
    booked.standby_qty,
    booked.to_process_qty,
    booked.in_process_qty,
    booked.processed_qty,
    booked.reject_qty + booked.standby_qty + booked.to_process_qty + booked.in_process_qty
        + booked.processed_qty as reject_total_qty,
    booked.defect_qty,
    event.event_number,
    event.event_row_count,
    event.reasons_differ,
    event.event_of_one_kind,
    lone_lots.lot_id is not null as lot_alone,
    lone_workorders.workorder is not null as workorder_alone,
    starts_with(coalesce(booked.package, ''), 'PB_') as is_pb_package
from booked
left join spec_workcenters on spec_workcenters.spec = booked.spec
left join event
    on event.event_id = booked.event_id
   and event.txn_time is not distinct from booked.txn_time
left join lone_lots
    on lone_lots.lot_id = booked.lot_id
   and lone_lots.txn_time = booked.txn_time
   and lone_lots.loss_reason = booked.loss_reason
left join lone_workorders
    on lone_workorders.workorder = booked.workorder
   and lone_workorders.txn_time = booked.txn_time
   and lone_workorders.loss_reason = booked.loss_reason
order by booked.txn_time, booked.event_id, loss_reason, equipment, lot_id, spec, workcenter, reject_total_qty,
    booked.defect_qty, booked.movein_qty, booked.reject_qty, booked.standby_qty, booked.to_process_qty, booked.in_process_qty,
    booked.workorder, booked.reject_comment
