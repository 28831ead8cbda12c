-- Made rows with the columns, types and spreads of the table that the hold views read; key: history_id, in hold_time
-- order over two years. Every value is a hash of the row's number, so that the same count gives the same rows.
with numbered as (
    select
        n,
        hash(n, 1) % 1000003 as a,
        hash(n, 2) % 1000033 as b,
        hash(n, 3) % 1000037 as c,
        cast($first as timestamp) + to_seconds(n * 63072000 // $row_count) as held,
        hash(n // 2, 4) % ($row_count * 3 // 4 + 1) as lot
    from range($first_row, $end_row) as counted (n)
),

hold as (
    select
        *,
        case when a % 10 > 0 then held + to_seconds(cast(60 + (b * b) % 900000 as bigint)) end as released
    from numbered
)

select
    printf('%016x', n * 7919) as history_id,
    printf('%016x', lot * 104729) as container_id,
    printf('GA24%08d-%03d', lot, lot % 7) as lot_id,
    printf('WO%08d', lot // 25) as workorder,
    printf('PRODUCT-%04d', lot % 400) as product,
    printf('PKG-%02d', lot % 40) as package,
    printf('STEP-%02d', a % 60) as workcenter,
    printf('GROUP-%02d', a % 60 // 5) as workcenter_group,
    printf('%016x', b % 80) as hold_reason_id,
    case when b % 80 > 0 then printf('REASON %02d', b % 80) end as hold_reason,
    case when b % 4 > 0 then 'quality' else 'non-quality' end as hold_type,
    cast(c % 5000 as bigint) as qty,
    cast(held + interval '16 hours 30 minutes' as date) as hold_day,
    cast(held as timestamp_s) as hold_time,
    printf('EMP%04d', a % 900) as hold_employee,
    case when c % 3 > 0 then printf('waiting for the answer to question %d of shift %d', c, a % 3) end as hold_comment,
    cast(released + interval '16 hours 30 minutes' as date) as release_day,
    cast(released as timestamp_s) as release_time,
    case when released is not null then printf('EMP%04d', b % 900) end as release_employee,
    case when released is not null and c % 4 > 0 then printf('checked, passed on to %d', b) end as release_comment,
    date_diff('second', held, coalesce(released, cast($as_of as timestamp))) / cast(3600 as double) as hold_hours,
    case when c % 20 = 0 then printf('NCR-%06d', b) end as ncr,
    case when c % 8 = 0 then printf('hold at the next step, see note %d', a) end as future_hold_comment,
    c % 8 = 0 as is_future_hold,
    cast(1 + a % 2 * (b % 3) as integer) as rn_hold_day,
    cast(1 + c % 3 as integer) as rn_reason
from hold
order by n
