-- Says that a link was opened.
update permalink set used_time = :used_time where id = :id
