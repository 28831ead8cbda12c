update permalink set used_time = :used_time where id = :id
