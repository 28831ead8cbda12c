-- One row per container whose work order has one of these names. Key: container_id. matched is what it was found by. No
-- times. Binds: tokens = names in upper case, at most a thousand. Reads the whole table: for names that are kept in
-- another case than they are typed in, after the index found none.
select
    c.CONTAINERID as container_id,
    c.CONTAINERNAME as lot_id,
    c.MFGORDERNAME as matched,
    c.SPECNAME as spec_name,
    c.QTY as qty
from DWH.DW_MES_CONTAINER c
where upper(trim(c.MFGORDERNAME)) in (:tokens)
