-- One row per hold of the query.
select history_id, container_id, hold_time, release_time from holds_of
