select count(*) from saved_view where owner = :owner
