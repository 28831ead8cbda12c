-- One row per group, per package and per age range of lots on hold, most lots first, ages in their order; key:
-- dimension and value.
with held as (
    select workcenter_group, package, age_range, qty
    from selected
    where wip_status = 'HOLD'
),

part as (
    select 'age_range' as dimension, coalesce(age_range, '(none)') as value, qty from held
    union all
    select 'package', coalesce(package, '(none)'), qty from held
    union all
    select 'workcenter_group', coalesce(workcenter_group, '(none)'), qty from held
),

counted as (
    select
        dimension,
        value,
        count(*) as lot_count,
        cast(sum(qty) as bigint) as qty
    from part
    group by dimension, value
),

shared as (
    select dimension, value, lot_count, qty, sum(lot_count) over (partition by dimension) as whole_count
    from counted
)

select
    dimension,
    value,
    lot_count,
    qty,
    cast((lot_count * 20000 + whole_count) // (2 * whole_count) as double) / 100 as pct
from shared
order by dimension, case when dimension = 'age_range' then value end, lot_count desc, value
