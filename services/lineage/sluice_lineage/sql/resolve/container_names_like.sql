-- One row per container that has a name like one of these patterns. Key: container_id. matched is what it was found by.
-- No times. Binds: pattern_1 to pattern_10 = LIKE patterns with the escape character \, repeated where there are fewer;
-- lots_only = 1 for lots, 0 for anything. Read by the index on CONTAINERNAME.
select
    c.CONTAINERID as container_id,
    c.CONTAINERNAME as lot_id,
    c.CONTAINERNAME as matched,
    c.SPECNAME as spec_name,
    c.QTY as qty
from DWH.DW_MES_CONTAINER c
where (
        c.CONTAINERNAME like :pattern_1 escape '\'
        or c.CONTAINERNAME like :pattern_2 escape '\'
        or c.CONTAINERNAME like :pattern_3 escape '\'
        or c.CONTAINERNAME like :pattern_4 escape '\'
        or c.CONTAINERNAME like :pattern_5 escape '\'
        or c.CONTAINERNAME like :pattern_6 escape '\'
        or c.CONTAINERNAME like :pattern_7 escape '\'
        or c.CONTAINERNAME like :pattern_8 escape '\'
        or c.CONTAINERNAME like :pattern_9 escape '\'
        or c.CONTAINERNAME like :pattern_10 escape '\'
    )
    and (:lots_only = 0 or trim(c.OBJECTTYPE) = 'LOT')
