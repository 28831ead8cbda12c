-- One row per seed and container it came from, over splits and merges alike; `edges` has both. Key: seed, node.
with recursive walk (seed, node) as (
    select node, node from seeds
    union
    select w.seed, e.parent
    from walk w
    join edges e on e.child = w.node
)
select seed, node
from walk
where seed <> node
