-- How many views an owner keeps.
select count(*) from saved_view where owner = :owner
