-- One row per lot whose wafer lot has one of these names. Key: container_id. matched is what it was found by. No times.
-- Binds: tokens = names, at most a thousand, unpadded. Reads the whole table: FIRSTNAME has no index.
select
    c.CONTAINERID as container_id,
    c.CONTAINERNAME as lot_id,
    c.FIRSTNAME as matched,
    c.SPECNAME as spec_name,
    c.QTY as qty
from DWH.DW_MES_CONTAINER c
where c.FIRSTNAME in (:tokens)
    and trim(c.OBJECTTYPE) = 'LOT'
