-- One row per department and person that placed a selected hold; key: department, employee. Departments as in
-- department.sql, within one the most pieces first. Figures as there.
with person as (
    select
        coalesce(department, '(not filled)') as department,
        coalesce(employee, '(not filled)') as employee,
        count(*) as hold_count,
        count(distinct container_id) as lot_count,
        cast(sum(qty) as bigint) as qty,
        count(*) filter (where release_time is null) as open_count,
        cast((cast(sum(hold_seconds) as bigint) * 2 + 36 * count(*)) // (72 * count(*)) as double) / 100 as avg_hours
    from selected
    group by coalesce(department, '(not filled)'), coalesce(employee, '(not filled)')
)

select department, employee, hold_count, lot_count, qty, open_count, avg_hours
from person
order by sum(qty) over (partition by department) desc, department, qty desc, employee
