-- One row per machine and day that has hours or production; key: resource_id, day.
-- Two days meet under one date: hours are of the calendar day, production of the day that begins at 07:30 of that date
-- (docs/datasets.md says why both stay). Hours are whole millionths, so every sum of them is exact.
-- What a lot lost at a step, from 30 days before the range to 30 days after it, is shared out among the machine-days on
-- which it was tracked out there within the range, by the pieces tracked out; among equals where these are 0. Shares are
-- whole pieces that add up: each machine-day takes the difference of two rounded-down running shares.
with track_out as (
    select
        container_id,
        spec,
        workcenter,
        resource_id,
        cast(track_out_time - interval '7 hours 30 minutes' as date) as day,
        sum(track_out_qty) as track_out_qty
    from track_outs
    where spec not in (select name from finished_goods_stores)
      and workcenter not in (select name from finished_goods_stores)
    group by container_id, spec, workcenter, resource_id, day
),

lost as (
    select container_id, spec, workcenter, sum(ng_qty) as ng_qty
    from rejects
    group by container_id, spec, workcenter
),

weighed as (
    select
        track_out.resource_id,
        track_out.day,
        track_out.track_out_qty,
        track_out.container_id,
        track_out.spec,
        track_out.workcenter,
        coalesce(lost.ng_qty, 0) as ng_qty,
        case
            when sum(greatest(track_out.track_out_qty, 0)) over key = 0 then 1
            else greatest(track_out.track_out_qty, 0)
        end as weight
    from track_out
    left join lost
        on lost.container_id = track_out.container_id
        and lost.spec = track_out.spec
        and lost.workcenter = track_out.workcenter
    window key as (partition by track_out.container_id, track_out.spec, track_out.workcenter)
),

running as (
    select
        resource_id,
        day,
        track_out_qty,
        ng_qty,
        weight,
        sum(weight) over key as whole,
        sum(weight) over (
            partition by container_id, spec, workcenter
            order by day, resource_id
            rows between unbounded preceding and current row
        ) as upto
    from weighed
    window key as (partition by container_id, spec, workcenter)
),

shared as (
    select
        resource_id,
        day,
        track_out_qty,
        ng_qty * upto // whole - ng_qty * (upto - weight) // whole as ng_qty
    from running
),

produced as (
    select
        resource_id,
        day,
        cast(sum(track_out_qty) as bigint) as track_out_qty,
        cast(sum(ng_qty) as bigint) as ng_qty
    from shared
    group by resource_id, day
),

stood as (
    select
        resource_id,
        cast(day_time as date) as day,
        sum(cast(prd_hours * 1000000 as bigint)) as prd_microhours,
        sum(cast(sby_hours * 1000000 as bigint)) as sby_microhours,
        sum(cast(udt_hours * 1000000 as bigint)) as udt_microhours,
        sum(cast(sdt_hours * 1000000 as bigint)) as sdt_microhours,
        sum(cast(egt_hours * 1000000 as bigint)) as egt_microhours,
        sum(cast(nst_hours * 1000000 as bigint)) as nst_microhours,
        sum(cast(total_hours * 1000000 as bigint)) as total_microhours
    from hours
    group by resource_id, day
),

counted as (
    select resource_id, machine, family, workcenter, location, package_group, is_production, is_key, is_monitor
    from machines
    where (location is null or location not in (select denied_locations.location from denied_locations))
      and (asset_state is null or asset_state not in (select denied_asset_states.asset_state from denied_asset_states))
),

both_days as (
    select resource_id, day from stood
    union
    select resource_id, day from produced
)

select
    both_days.day,
    both_days.resource_id,
    counted.machine,
    counted.family,
    counted.workcenter,
    coalesce(workcenter_groups.workcenter_group, counted.workcenter) as workcenter_group,
    coalesce(workcenter_groups.group_sequence, 999) as group_sequence,
    counted.location,
    counted.package_group,
    counted.is_production,
    counted.is_key,
    counted.is_monitor,
    stood.resource_id is not null as has_hours,
    cast(coalesce(stood.prd_microhours, 0) as bigint) as prd_microhours,
    cast(coalesce(stood.sby_microhours, 0) as bigint) as sby_microhours,
    cast(coalesce(stood.udt_microhours, 0) as bigint) as udt_microhours,
    cast(coalesce(stood.sdt_microhours, 0) as bigint) as sdt_microhours,
    cast(coalesce(stood.egt_microhours, 0) as bigint) as egt_microhours,
    cast(coalesce(stood.nst_microhours, 0) as bigint) as nst_microhours,
    cast(coalesce(stood.total_microhours, 0) as bigint) as total_microhours,
    coalesce(produced.track_out_qty, 0) as track_out_qty,
    coalesce(produced.ng_qty, 0) as ng_qty
from both_days
join counted on counted.resource_id = both_days.resource_id
left join workcenter_groups on workcenter_groups.workcenter = counted.workcenter
left join stood on stood.resource_id = both_days.resource_id and stood.day = both_days.day
left join produced on produced.resource_id = both_days.resource_id and produced.day = both_days.day
order by both_days.day, both_days.resource_id
