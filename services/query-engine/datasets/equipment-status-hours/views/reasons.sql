-- One row per status and reason, most hours first; key: status and reason. Rounded once, half up.
with reason as (
    select
        coalesce(status, '(none)') as status,
        coalesce(reason, '(none)') as reason,
        sum(micro_hours) as spent
    from selected
    group by coalesce(status, '(none)'), coalesce(reason, '(none)')
),

shared as (
    select status, reason, spent, sum(spent) over () as whole
    from reason
)

select
    status,
    reason,
    cast((spent + 50000) // 100000 as double) / 10 as hours,
    coalesce(cast((spent * 20000 + whole) // nullif(2 * whole, 0) as double) / 100, 0) as pct
from shared
order by spent desc, status, reason
