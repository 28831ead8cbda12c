-- One row that never comes: counts the natural numbers. For proving that a statement can be ended. No table, no binds.
with numbers (n) as (
    select 1 from dual
    union all
    select n + 1 from numbers where n > 0
)
select count(*) as n from numbers
