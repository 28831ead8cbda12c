-- One row per first-level cause, most jobs first; key: cause. Shares are cumulated before they are rounded, half up.
with cause as (
    select
        coalesce(cause, '(none)') as cause,
        count(*) as job_count
    from selected
    group by coalesce(cause, '(none)')
),

running as (
    select
        cause,
        job_count,
        sum(job_count) over (order by job_count desc, cause rows unbounded preceding) as running_count,
        sum(job_count) over () as total_count
    from cause
)

select
    cause,
    job_count,
    cast((job_count * 20000 + total_count) // (2 * total_count) as double) / 100 as pct,
    cast((running_count * 20000 + total_count) // (2 * total_count) as double) / 100 as cum_pct
from running
order by job_count desc, cause
