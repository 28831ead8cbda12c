-- One row per machine: what is of class ASSEMBLY or WAFERSORT by category and type alike, and stands in a work centre.
-- Key: resource_id. Binds: none; some 2,800 of 92,000 resources, read by the index on category and type.
-- Which locations and asset states are left out is the plant's own list and applied by whoever reads this.
-- A package group is looked up by its trimmed id on both sides; of an id that stands twice the first name counts.
with package_group as (
    select trim(PACKAGEGROUPID) as package_group_id, min(trim(PACKAGEGROUPNAME)) as package_group
    from DWH.DW_MES_RESOURCE_PACKAGEGROUP
    group by trim(PACKAGEGROUPID)
)

select
    r.RESOURCEID as resource_id,
    trim(r.RESOURCENAME) as machine,
    trim(r.RESOURCEFAMILYNAME) as family,
    trim(r.WORKCENTERNAME) as workcenter,
    trim(r.LOCATIONNAME) as location,
    g.package_group,
    trim(r.PJ_DEPARTMENT) as department,
    trim(r.PJ_ASSETSSTATUS) as asset_state,
    case when r.PJ_ISPRODUCTION = 1 then 1 else 0 end as is_production,
    case when r.PJ_ISKEY = 1 then 1 else 0 end as is_key,
    case when r.PJ_ISMONITOR = 1 then 1 else 0 end as is_monitor
from DWH.DW_MES_RESOURCE r
left join package_group g on g.package_group_id = trim(r.PACKAGEGROUPID)
where ((r.OBJECTCATEGORY = 'ASSEMBLY' and r.OBJECTTYPE = 'ASSEMBLY')
    or (r.OBJECTCATEGORY = 'WAFERSORT' and r.OBJECTTYPE = 'WAFERSORT'))
  and length(trim(r.WORKCENTERNAME)) > 0
order by r.RESOURCEID
