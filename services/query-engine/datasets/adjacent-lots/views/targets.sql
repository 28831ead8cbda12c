-- One row per session of the lot on the machine in the range, by track-in; key: target_number.
select
    target_number,
    max(track_in_time) filter (where relative_position = 0) as track_in_time,
    max(track_out_time) filter (where relative_position = 0) as track_out_time,
    max(spec) filter (where relative_position = 0) as spec,
    count(*) filter (where relative_position < 0) as before_count,
    count(*) filter (where relative_position > 0) as after_count
from neighbours
group by target_number
order by target_number
