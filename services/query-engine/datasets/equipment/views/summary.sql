-- One row: the selected machines by status and category. Ratios are of machines now, not of hours; rounded half up, and
-- missing where there is nothing to divide by.
with total as (
    select
        count(*) as total_count,
        count(*) filter (where status = 'PRD') as prd_count,
        count(*) filter (where status = 'SBY') as sby_count,
        count(*) filter (where status = 'UDT') as udt_count,
        count(*) filter (where status = 'SDT') as sdt_count,
        count(*) filter (where status = 'EGT') as egt_count,
        count(*) filter (where status = 'NST') as nst_count,
        count(*) filter (where status is null or status not in ('PRD', 'SBY', 'UDT', 'SDT', 'EGT', 'NST')) as other_count,
        count(*) filter (where status_category = 'PRODUCTIVE') as productive_count,
        count(*) filter (where status_category = 'STANDBY') as standby_count,
        count(*) filter (where status_category = 'DOWN') as down_count,
        count(*) filter (where status_category = 'ENGINEERING') as engineering_count,
        count(*) filter (where status_category = 'NOT_SCHEDULED') as not_scheduled_count,
        count(*) filter (where status_category = 'INACTIVE') as inactive_count,
        count(*) filter (where status_category = 'OTHER') as other_category_count,
        count(*) filter (where status_category is null) as unknown_count,
        count(job_order) as with_active_job_count,
        count(*) filter (where lot_count > 0) as with_wip_count
    from selected
    where kind = 'machine'
),

summed as (
    select total.*, prd_count + sby_count + udt_count + sdt_count + egt_count as operating_count
    from total
)

select
    total_count,
    prd_count,
    sby_count,
    udt_count,
    sdt_count,
    egt_count,
    nst_count,
    other_count,
    productive_count,
    standby_count,
    down_count,
    engineering_count,
    not_scheduled_count,
    inactive_count,
    other_category_count,
    unknown_count,
    with_active_job_count,
    with_wip_count,
    cast((prd_count * 2000 + operating_count) // nullif(2 * operating_count, 0) as double) / 10 as ou_pct,
    cast(((prd_count + sby_count + egt_count) * 2000 + total_count) // nullif(2 * total_count, 0) as double) / 10
        as availability_pct
from summed
order by total_count
