-- One row per source lot and finished good with a serial like one of these patterns, each once. Key: container_id,
-- matched. matched is the serial that it was found by; spec_name and qty are NULL where the lot is no container any
-- more. No times. Binds: pattern_1 to pattern_10 = LIKE patterns with the escape character \, repeated where there are
-- fewer. Read by the index on FINISHEDNAME.
select distinct
    a.CONTAINERID as container_id,
    coalesce(c.CONTAINERNAME, a.CONTAINERNAME) as lot_id,
    a.FINISHEDNAME as matched,
    c.SPECNAME as spec_name,
    c.QTY as qty
from DWH.DW_MES_PJ_COMBINEDASSYLOTS a
left join DWH.DW_MES_CONTAINER c on c.CONTAINERID = a.CONTAINERID
where (
        a.FINISHEDNAME like :pattern_1 escape '\'
        or a.FINISHEDNAME like :pattern_2 escape '\'
        or a.FINISHEDNAME like :pattern_3 escape '\'
        or a.FINISHEDNAME like :pattern_4 escape '\'
        or a.FINISHEDNAME like :pattern_5 escape '\'
        or a.FINISHEDNAME like :pattern_6 escape '\'
        or a.FINISHEDNAME like :pattern_7 escape '\'
        or a.FINISHEDNAME like :pattern_8 escape '\'
        or a.FINISHEDNAME like :pattern_9 escape '\'
        or a.FINISHEDNAME like :pattern_10 escape '\'
    )
