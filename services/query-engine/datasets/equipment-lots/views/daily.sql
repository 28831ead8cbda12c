-- One row per calendar day on which a selected session began; key: day.
select
    cast(track_in_time as date) as day,
    count(*) as session_count,
    count(distinct container_id) as lot_count,
    cast(coalesce(sum(track_in_qty), 0) as bigint) as track_in_qty,
    cast(sum(track_out_qty) as bigint) as track_out_qty
from selected
group by cast(track_in_time as date)
order by day
