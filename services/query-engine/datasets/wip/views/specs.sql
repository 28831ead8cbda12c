-- One row per group and step, in the order of the flow and of the steps; key: workcenter_group and spec.
select
    coalesce(workcenter_group, '(none)') as workcenter_group,
    coalesce(spec, '(none)') as spec,
    count(*) as lot_count,
    cast(sum(qty) as bigint) as qty
from selected
group by coalesce(workcenter_group, '(none)'), coalesce(spec, '(none)')
order by min(group_sequence), workcenter_group, min(spec_sequence), spec
