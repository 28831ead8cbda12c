-- One row per hold of the query, with what its lot came from.
with held as (
    select history_id, container_id, reason, hold_time from placed
    union all
    select history_id, container_id, reason, hold_time from holds_of
),

family as (
    select seed_id as container_id, ancestor_id as member_id from ancestors
    union all
    select distinct container_id, container_id from held where container_id is not null
),

steps as (
    select family.container_id, count(distinct passed.specname) as step_count
    from family
    join passed on passed.containerid = family.member_id
    group by family.container_id
),

counted as (
    select seed_id as container_id, count(*) as ancestor_count from ancestors group by seed_id
)

select
    held.history_id,
    held.container_id,
    held.reason,
    held.hold_time,
    coalesce(counted.ancestor_count, 0) as ancestor_count,
    coalesce(steps.step_count, 0) as step_count
from held
left join counted on counted.container_id = held.container_id
left join steps on steps.container_id = held.container_id
order by held.container_id, held.history_id
