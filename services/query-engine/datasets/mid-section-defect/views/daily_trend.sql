-- One row per calendar day on which a selected lot was tracked in at the station; key: day.
with defect as (
    select container_id, cast(sum(qty) as bigint) as defect_qty
    from selected
    where kind = 'reject'
    group by container_id
),

daily as (
    select
        selected.day,
        count(*) as lot_count,
        cast(sum(selected.input_qty) as bigint) as input_qty,
        cast(coalesce(sum(defect.defect_qty), 0) as bigint) as defect_qty
    from selected
    left join defect on defect.container_id = selected.container_id
    where selected.kind = 'lot'
    group by selected.day
)

select
    day,
    lot_count,
    input_qty,
    defect_qty,
    coalesce(
        cast((defect_qty * 2000000 + input_qty) // nullif(2 * input_qty, 0) as double) / 10000, 0
    ) as defect_rate
from daily
order by day
