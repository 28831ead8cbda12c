-- One row per work-centre group and package that has lots, in the order of the flow, then most pieces of the package
-- first; key: workcenter_group and package. A group that carries two sequences is one group.
with cell as (
    select
        workcenter_group,
        package,
        cast(sum(qty) as bigint) as qty,
        count(*) as lot_count
    from selected
    where workcenter_group is not null
      and package is not null
    group by workcenter_group, package
),

place as (
    select workcenter_group, min(group_sequence) as group_sequence
    from selected
    group by workcenter_group
),

summed as (
    select
        cell.workcenter_group,
        place.group_sequence,
        cell.package,
        cell.qty,
        cell.lot_count,
        cast(sum(cell.qty) over (partition by cell.workcenter_group) as bigint) as group_qty,
        cast(sum(cell.qty) over (partition by cell.package) as bigint) as package_qty,
        cast(sum(cell.qty) over () as bigint) as total_qty
    from cell
    join place on place.workcenter_group = cell.workcenter_group
)

select
    workcenter_group,
    group_sequence,
    package,
    qty,
    lot_count,
    group_qty,
    package_qty,
    total_qty
from summed
order by group_sequence, workcenter_group, package_qty desc, package
