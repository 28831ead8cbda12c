-- One row per work-centre group, in the order of the flow; key: workcenter_group.
select
    workcenter_group,
    min(group_sequence) as group_sequence,
    count(*) as total_count,
    count(*) filter (where status = 'PRD') as prd_count,
    count(*) filter (where status = 'SBY') as sby_count,
    count(*) filter (where status = 'UDT') as udt_count,
    count(*) filter (where status = 'SDT') as sdt_count,
    count(*) filter (where status = 'EGT') as egt_count,
    count(*) filter (where status = 'NST') as nst_count,
    count(*) filter (where status is null or status not in ('PRD', 'SBY', 'UDT', 'SDT', 'EGT', 'NST')) as other_count
from selected
where kind = 'machine'
group by workcenter_group
order by min(group_sequence), workcenter_group
