-- One row per lot whose wafer lot has a name like one of these patterns. Key: container_id. matched is what it was
-- found by. No times. Binds: pattern_1 to pattern_10 = LIKE patterns with the escape character \, repeated where there
-- are fewer. Reads the whole table: FIRSTNAME has no index.
select
    c.CONTAINERID as container_id,
    c.CONTAINERNAME as lot_id,
    c.FIRSTNAME as matched,
    c.SPECNAME as spec_name,
    c.QTY as qty
from DWH.DW_MES_CONTAINER c
where (
        c.FIRSTNAME like :pattern_1 escape '\'
        or c.FIRSTNAME like :pattern_2 escape '\'
        or c.FIRSTNAME like :pattern_3 escape '\'
        or c.FIRSTNAME like :pattern_4 escape '\'
        or c.FIRSTNAME like :pattern_5 escape '\'
        or c.FIRSTNAME like :pattern_6 escape '\'
        or c.FIRSTNAME like :pattern_7 escape '\'
        or c.FIRSTNAME like :pattern_8 escape '\'
        or c.FIRSTNAME like :pattern_9 escape '\'
        or c.FIRSTNAME like :pattern_10 escape '\'
    )
    and trim(c.OBJECTTYPE) = 'LOT'
