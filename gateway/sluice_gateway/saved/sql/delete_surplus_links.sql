-- Past the limit, the links that nobody opened for longest.
delete from permalink
where id in (select id from permalink order by used_time desc, id limit -1 offset :most)
