-- One row per process step: its work centre, the group that charts show that in, and the group's place in the flow.
-- Key: spec. A step may stand in several rows of the dictionary: the one whose group comes first in the flow counts whole,
-- ties by names. Sequences are text there, as workcenter_groups.sql says. Binds: none; some 230 rows.
with step as (
    select
        trim(SPEC) as spec,
        trim(WORK_CENTER) as workcenter,
        trim(WORK_CENTER_GROUP) as workcenter_group,
        case
            when length(trim(WORKCENTERSEQUENCE_GROUP)) between 1 and 9
             and translate('#' || trim(WORKCENTERSEQUENCE_GROUP), '#0123456789', '#') = '#'
            then cast(trim(WORKCENTERSEQUENCE_GROUP) as integer)
            else 999
        end as group_sequence
    from DWH.DW_MES_SPEC_WORKCENTER_V
    where length(trim(SPEC)) > 0
),

ranked as (
    select
        spec,
        workcenter,
        workcenter_group,
        group_sequence,
        row_number() over (partition by spec order by group_sequence, workcenter_group, workcenter) as choice
    from step
)

select spec, workcenter, workcenter_group, group_sequence
from ranked
where choice = 1
order by spec
