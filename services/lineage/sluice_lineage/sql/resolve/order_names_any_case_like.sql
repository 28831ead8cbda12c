-- One row per container whose work order has a name like one of these patterns. Key: container_id. matched is what it
-- was found by. No times. Binds: pattern_1 to pattern_10 = LIKE patterns in upper case with the escape character \,
-- repeated where there are fewer. Reads the whole table: for names that are kept in another case than they are typed
-- in, after the index found none.
select
    c.CONTAINERID as container_id,
    c.CONTAINERNAME as lot_id,
    c.MFGORDERNAME as matched,
    c.SPECNAME as spec_name,
    c.QTY as qty
from DWH.DW_MES_CONTAINER c
where (
        upper(trim(c.MFGORDERNAME)) like :pattern_1 escape '\'
        or upper(trim(c.MFGORDERNAME)) like :pattern_2 escape '\'
        or upper(trim(c.MFGORDERNAME)) like :pattern_3 escape '\'
        or upper(trim(c.MFGORDERNAME)) like :pattern_4 escape '\'
        or upper(trim(c.MFGORDERNAME)) like :pattern_5 escape '\'
        or upper(trim(c.MFGORDERNAME)) like :pattern_6 escape '\'
        or upper(trim(c.MFGORDERNAME)) like :pattern_7 escape '\'
        or upper(trim(c.MFGORDERNAME)) like :pattern_8 escape '\'
        or upper(trim(c.MFGORDERNAME)) like :pattern_9 escape '\'
        or upper(trim(c.MFGORDERNAME)) like :pattern_10 escape '\'
    )
