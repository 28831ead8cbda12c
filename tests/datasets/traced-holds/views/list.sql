-- One row per hold; key: history_id and container_id.
select history_id, container_id, reason, hold_time from holds
