-- One row per hold; the order is composed from the declared sort keys.
select history_id, container_id, hold_time, release_time from holds
