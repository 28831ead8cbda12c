-- One row per name of the searched field that holds the text, whatever the case; key: name. At most 50: those that begin
-- with it first, then by name. A text of fewer than two characters finds nothing, or it would find almost everything.
with named as (
    select
        case $search_field
            when 'lot' then lot_id
            when 'workorder' then workorder
            when 'package' then package
            when 'pj_type' then pj_type
            when 'wafer_lot' then wafer_lot
            when 'wafer_description' then wafer_description
            when 'workflow' then workflow
            when 'bop' then bop
            when 'pj_function' then pj_function
        end as name
    from selected
)

select name, count(*) as lot_count
from named
where length($search_text) >= 2
  and contains(lower(name), lower($search_text))
group by name
order by not starts_with(lower(name), lower($search_text)), name
limit 50
