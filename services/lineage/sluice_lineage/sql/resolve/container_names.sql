-- One row per container that has one of these names. Key: container_id. matched is what it was found by. No times.
-- Binds: tokens = names, at most a thousand, unpadded; lots_only = 1 for lots, 0 for anything. Read by the index on
-- CONTAINERNAME.
select
    c.CONTAINERID as container_id,
    c.CONTAINERNAME as lot_id,
    c.CONTAINERNAME as matched,
    c.SPECNAME as spec_name,
    c.QTY as qty
from DWH.DW_MES_CONTAINER c
where c.CONTAINERNAME in (:tokens)
    and (:lots_only = 0 or trim(c.OBJECTTYPE) = 'LOT')
