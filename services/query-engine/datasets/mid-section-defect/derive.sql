-- One row per fact of a lot, told apart by `kind`; key: kind, container_id and what the kind has besides.
--   lot: the lot itself, once, and so the denominator of everything. reject: a loss reason at the station.
--   machine, material: what it or an ancestor met, each once however often. member: it, or a lot that came of it.
--   visit, loss: what these met after the station; one that came of two lots stands under both with one fact_number.
-- Every row carries what is known of its lot. A lot is judged at the station it was last tracked in at. A work centre
-- that the dictionary gives no place in the flow is neither before nor after any other, so it is left out both ways.
with recursive session as (
    select
        container_id,
        equipment_id,
        track_in_time,
        max(track_out_time) as track_out_time,
        max(track_in_qty) as input_qty,
        min(lot_id) as lot_id,
        min(workorder) as workorder,
        min(pj_type) as pj_type,
        min(package) as package,
        min(run_card) as run_card,
        min(workcenter) as workcenter,
        min(spec) as spec,
        min(equipment) as equipment
    from (
        select container_id, lot_id, workorder, pj_type, package, run_card, workcenter,
            spec, equipment_id, equipment, track_in_time, track_out_time, track_in_qty
        from sessions_at
        union all
        select container_id, lot_id, workorder, pj_type, package, run_card, workcenter,
            spec, equipment_id, equipment, track_in_time, track_out_time, track_in_qty
        from sessions_of
    ) part
    group by container_id, equipment_id, track_in_time
),

latest as (
    select
        session.*,
        row_number() over (
            partition by container_id order by track_in_time desc, track_out_time desc nulls last, equipment_id
        ) as choice
    from session
),

ancestry as (
    select seed_id as container_id, count(distinct ancestor_id) as ancestor_count
    from ancestors
    where ancestor_id <> seed_id
    group by seed_id
),

lot as (
    select
        latest.container_id,
        latest.lot_id,
        latest.workorder,
        latest.pj_type,
        latest.package,
        coalesce(workflows.workflow, latest.spec) as workflow,
        latest.run_card,
        workcenter_groups.workcenter_group as detection_group,
        coalesce(workcenter_groups.group_sequence, 999) as detection_sequence,
        latest.equipment as detection_equipment,
        latest.track_in_time,
        cast(latest.track_in_time as date) as day,
        coalesce(latest.input_qty, 0) as input_qty,
        coalesce(roots.root_name, latest.lot_id) as root_name,
        coalesce(ancestry.ancestor_count, 0) as ancestor_count
    from latest
    left join workflows on workflows.lot_id = latest.lot_id
    left join workcenter_groups on workcenter_groups.workcenter = latest.workcenter
    left join (
        select seed_id, min(root_name) as root_name from roots group by seed_id
    ) roots on roots.seed_id = latest.container_id
    left join ancestry on ancestry.container_id = latest.container_id
    where latest.choice = 1
),

reject as (
    select
        part.container_id,
        coalesce(part.loss_reason, '(not filled)') as loss_reason,
        cast(sum(part.lost_qty) as bigint) as qty
    from (
        select container_id, loss_reason, lost_qty from rejects_at
        union all
        select container_id, loss_reason, lost_qty from rejects_of
    ) part
    semi join lot on lot.container_id = part.container_id
    group by part.container_id, coalesce(part.loss_reason, '(not filled)')
    having sum(part.lost_qty) > 0
),

kin as (
    select container_id, container_id as member_id from lot
    union
    select seed_id, ancestor_id from ancestors
),

machine as (
    select distinct
        lot.container_id,
        workcenter_groups.workcenter_group,
        workcenter_groups.group_sequence,
        passed.equipmentid as equipment_id,
        passed.equipmentname as equipment
    from kin
    join lot on lot.container_id = kin.container_id
    join passed on passed.containerid = kin.member_id
    join workcenter_groups on workcenter_groups.workcenter = passed.workcentername
    where workcenter_groups.group_sequence < lot.detection_sequence
      and workcenter_groups.group_sequence < 999
),

description as (
    select materialpartname, materiallotname, min(materialdescription) as material_description
    from consumed
    group by materialpartname, materiallotname
),

material as (
    select distinct
        lot.container_id,
        consumed.materialpartname as material_part,
        consumed.materiallotname as material_lot,
        description.material_description
    from kin
    join lot on lot.container_id = kin.container_id
    join consumed on consumed.containerid = kin.member_id
    left join description
        on description.materialpartname is not distinct from consumed.materialpartname
        and description.materiallotname is not distinct from consumed.materiallotname
),

-- Only what came of the lot itself: a genealogy may climb to a root first, and then knows its siblings too.
reached as (
    select distinct container_id, container_id as member_id from reject
    union
    select reached.container_id, descendants.to_cid
    from reached
    join descendants on descendants.from_cid = reached.member_id
),

reach as (
    select container_id, member_id from reached
),

numbered_visit as (
    select
        row_number() over (
            order by containerid, workcentername, equipmentname, equipmentid, trackintimestamp, trackinqty
        ) as fact_number,
        containerid,
        workcentername,
        equipmentid,
        equipmentname,
        trackintimestamp,
        trackinqty
    from visited
),

visit as (
    select
        reach.container_id,
        reach.member_id,
        workcenter_groups.workcenter_group,
        workcenter_groups.group_sequence,
        numbered_visit.equipmentid as equipment_id,
        numbered_visit.equipmentname as equipment,
        numbered_visit.fact_number,
        coalesce(numbered_visit.trackinqty, 0) as qty,
        numbered_visit.trackintimestamp as event_time
    from reach
    join lot on lot.container_id = reach.container_id
    join numbered_visit on numbered_visit.containerid = reach.member_id
    join workcenter_groups on workcenter_groups.workcenter = numbered_visit.workcentername
    where workcenter_groups.group_sequence > lot.detection_sequence
      and workcenter_groups.group_sequence < 999
),

numbered_loss as (
    select
        row_number() over (
            order by containerid, txndate, workcentername, lossreasonname, equipmentname, reject_total_qty
        ) as fact_number,
        containerid,
        workcentername,
        equipmentname,
        lossreasonname,
        reject_total_qty,
        txndate
    from lost
),

loss as (
    select
        reach.container_id,
        reach.member_id,
        workcenter_groups.workcenter_group,
        workcenter_groups.group_sequence,
        numbered_loss.equipmentname as equipment,
        numbered_loss.lossreasonname as later_reason,
        numbered_loss.fact_number,
        numbered_loss.reject_total_qty as qty,
        numbered_loss.txndate as event_time
    from reach
    join lot on lot.container_id = reach.container_id
    join numbered_loss on numbered_loss.containerid = reach.member_id
    join workcenter_groups on workcenter_groups.workcenter = numbered_loss.workcentername
    where workcenter_groups.group_sequence > lot.detection_sequence
      and workcenter_groups.group_sequence < 999
      and numbered_loss.reject_total_qty > 0
),

fact as (
    select
        'lot' as kind,
        container_id as container_id,
        cast(null as varchar) as workcenter_group,
        cast(null as bigint) as group_sequence,
        cast(null as varchar) as equipment_id,
        cast(null as varchar) as equipment,
        cast(null as varchar) as family,
        cast(null as varchar) as material_part,
        cast(null as varchar) as material_lot,
        cast(null as varchar) as material_description,
        cast(null as varchar) as loss_reason,
        cast(null as varchar) as later_reason,
        cast(null as bigint) as fact_number,
        cast(null as varchar) as member_id,
        cast(null as bigint) as qty,
        cast(null as timestamp) as event_time
    from lot
    union all
    select
        'reject' as kind,
        container_id as container_id,
        cast(null as varchar) as workcenter_group,
        cast(null as bigint) as group_sequence,
        cast(null as varchar) as equipment_id,
        cast(null as varchar) as equipment,
        cast(null as varchar) as family,
        cast(null as varchar) as material_part,
        cast(null as varchar) as material_lot,
        cast(null as varchar) as material_description,
        loss_reason as loss_reason,
        cast(null as varchar) as later_reason,
        cast(null as bigint) as fact_number,
        cast(null as varchar) as member_id,
        qty as qty,
        cast(null as timestamp) as event_time
    from reject
    union all
    select
        'machine' as kind,
        machine.container_id as container_id,
        machine.workcenter_group as workcenter_group,
        machine.group_sequence as group_sequence,
        machine.equipment_id as equipment_id,
        machine.equipment as equipment,
        coalesce(machines.family, '(unknown)') as family,
        cast(null as varchar) as material_part,
        cast(null as varchar) as material_lot,
        cast(null as varchar) as material_description,
        cast(null as varchar) as loss_reason,
        cast(null as varchar) as later_reason,
        cast(null as bigint) as fact_number,
        cast(null as varchar) as member_id,
        cast(null as bigint) as qty,
        cast(null as timestamp) as event_time
    from machine
    left join machines on machines.resource_id = machine.equipment_id
    union all
    select
        'material' as kind,
        container_id as container_id,
        cast(null as varchar) as workcenter_group,
        cast(null as bigint) as group_sequence,
        cast(null as varchar) as equipment_id,
        cast(null as varchar) as equipment,
        cast(null as varchar) as family,
        material_part as material_part,
        material_lot as material_lot,
        material_description as material_description,
        cast(null as varchar) as loss_reason,
        cast(null as varchar) as later_reason,
        cast(null as bigint) as fact_number,
        cast(null as varchar) as member_id,
        cast(null as bigint) as qty,
        cast(null as timestamp) as event_time
    from material
    union all
    select
        'member' as kind,
        container_id as container_id,
        cast(null as varchar) as workcenter_group,
        cast(null as bigint) as group_sequence,
        cast(null as varchar) as equipment_id,
        cast(null as varchar) as equipment,
        cast(null as varchar) as family,
        cast(null as varchar) as material_part,
        cast(null as varchar) as material_lot,
        cast(null as varchar) as material_description,
        cast(null as varchar) as loss_reason,
        cast(null as varchar) as later_reason,
        cast(null as bigint) as fact_number,
        member_id as member_id,
        cast(null as bigint) as qty,
        cast(null as timestamp) as event_time
    from reach
    union all
    select
        'visit' as kind,
        container_id as container_id,
        workcenter_group as workcenter_group,
        group_sequence as group_sequence,
        equipment_id as equipment_id,
        equipment as equipment,
        cast(null as varchar) as family,
        cast(null as varchar) as material_part,
        cast(null as varchar) as material_lot,
        cast(null as varchar) as material_description,
        cast(null as varchar) as loss_reason,
        cast(null as varchar) as later_reason,
        fact_number as fact_number,
        member_id as member_id,
        qty as qty,
        event_time as event_time
    from visit
    union all
    select
        'loss' as kind,
        container_id as container_id,
        workcenter_group as workcenter_group,
        group_sequence as group_sequence,
        cast(null as varchar) as equipment_id,
        equipment as equipment,
        cast(null as varchar) as family,
        cast(null as varchar) as material_part,
        cast(null as varchar) as material_lot,
        cast(null as varchar) as material_description,
        cast(null as varchar) as loss_reason,
        later_reason as later_reason,
        fact_number as fact_number,
        member_id as member_id,
        qty as qty,
        event_time as event_time
    from loss
)

select
    fact.kind,
    lot.container_id,
    lot.lot_id,
    lot.workorder,
    lot.pj_type,
    lot.package,
    lot.workflow,
    lot.run_card,
    lot.detection_group,
    lot.detection_sequence,
    lot.detection_equipment,
    lot.track_in_time,
    lot.day,
    lot.input_qty,
    lot.root_name,
    lot.ancestor_count,
    fact.workcenter_group,
    fact.group_sequence,
    fact.equipment_id,
    fact.equipment,
    fact.family,
    fact.material_part,
    fact.material_lot,
    fact.material_description,
    fact.loss_reason,
    fact.later_reason,
    fact.fact_number,
    fact.member_id,
    fact.qty,
    fact.event_time
from fact
join lot on lot.container_id = fact.container_id
order by lot.track_in_time, fact.container_id, fact.kind, fact.loss_reason, fact.group_sequence, fact.equipment,
    fact.material_part, fact.material_lot, fact.fact_number, fact.member_id, fact.equipment_id
