-- Splits and merges of `lots_rows` and `merges_rows` put into a plant; their numbers are positions in time order behind
-- the first planted lots, which stay as they are.
create temp table numbered as
select rowid as position, CONTAINERID as id, CONTAINERNAME as name
from DWH.DW_MES_CONTAINER;

create or replace table DWH.DW_MES_CONTAINER as
select c.* replace (
    if(c.rowid < $planted, c.SPLITFROMID, split_from.id) as SPLITFROMID,
    if(c.rowid < $planted, c.FIRSTNAME, wafer.name) as FIRSTNAME,
    if(c.rowid < $planted, c.OBJECTTYPE, 'LOT') as OBJECTTYPE
)
from DWH.DW_MES_CONTAINER c
left join lots_rows made on made.position = c.rowid
left join numbered split_from on split_from.position = made.parent
left join numbered wafer on wafer.position = made.wafer
order by c.rowid;

create or replace table DWH.DW_MES_PJ_COMBINEDASSYLOTS as
select m.* replace (
    coalesce(source.id, m.CONTAINERID) as CONTAINERID,
    coalesce(source.name, m.CONTAINERNAME) as CONTAINERNAME,
    coalesce(target.id, m.LOTID) as LOTID,
    if(made.target is null, m.FINISHEDNAME, 'FN' || made.target) as FINISHEDNAME
)
from DWH.DW_MES_PJ_COMBINEDASSYLOTS m
left join merges_rows made on made.position = m.rowid
left join numbered source on source.position = made.source
left join numbered target on target.position = made.target
where made.position is not null or m.rowid < $planted_merges
order by m.rowid;
