delete from permalink where used_time < :oldest
