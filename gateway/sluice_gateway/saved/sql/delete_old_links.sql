-- Forgets the links that nobody opened since then.
delete from permalink where used_time < :oldest
