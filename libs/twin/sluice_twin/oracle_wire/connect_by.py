"""Hierarchical queries: CONNECT BY evaluated from the parsed statement, as a recursive query for DuckDB.

Every row carries the path of row numbers that led to it. A row whose number is on its own path is a loop: NOCYCLE
leaves it out, and without NOCYCLE it is ORA-01436. Without ORDER BY, rows come depth first, siblings in the order of
the table or of ORDER SIBLINGS BY.

Covered: any tables, joined with ON or alone; any condition with PRIOR on either side; START WITH or none; LEVEL,
CONNECT_BY_ROOT, SYS_CONNECT_BY_PATH, CONNECT_BY_ISLEAF and PRIOR in the select list; DUAL as a generator of rows. Not
covered, and refused: tables joined by commas, CONNECT_BY_ISCYCLE, `*` of a join, ROWNUM.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeVar

from sqlglot import exp

from sluice_twin.oracle_wire.errors import OraError
from sluice_twin.oracle_wire.schema import is_star

_SOURCE: Final = "hierarchy_source"
_WALK: Final = "hierarchy"
_ROW: Final = "hierarchy_row"
_PATH: Final = "hierarchy_path"
_LEVEL: Final = "hierarchy_level"
_LOOP: Final = "hierarchy_loop"
_HELPERS: Final = (_ROW, _PATH, _LEVEL, _LOOP)
_LOOP_ERROR: Final = "ORA-01436: CONNECT BY loop in user data"

Node = TypeVar("Node", bound=exp.Expr)

_PARENT: Final = "hierarchy_parent"
_CHILD: Final = "hierarchy_child"


def expand_hierarchies(tree: exp.Expr) -> None:
    """Put a recursive query in the place of every CONNECT BY.

    Raises:
        OraError: a hierarchical query of a shape that is not evaluated.
    """
    for select in reversed(list(tree.find_all(exp.Select))):
        if select.args.get("connect"):
            _Hierarchy(select).expand()


class _Hierarchy:
    """One hierarchical query, rewritten in place."""

    def __init__(self, select: exp.Select) -> None:
        connect = select.args["connect"]
        self._select = select
        self._condition: exp.Expr = connect.args["connect"]
        self._start: exp.Expr | None = connect.args.get("start")
        self._no_cycle = bool(connect.args.get("nocycle"))
        # Without PRIOR nothing leads back, so a server looks for no loop: that is how rows are generated from DUAL.
        self._loops = self._condition.find(exp.Prior) is not None
        self._joined = bool(select.args.get("joins"))
        self._columns: dict[str, exp.Column] = {}
        # Values that a row takes from its ancestors: name, value at a root, value further down.
        self._carried: list[tuple[str, exp.Expr, exp.Expr]] = []

    def expand(self) -> None:
        select = self._select
        if any(join.args.get("on") is None and join.args.get("using") is None for join in self._joins()):
            raise OraError(3001, "unimplemented feature: CONNECT BY over tables joined by commas")
        siblings = self._take_siblings()
        self._rewrite_outer()
        condition = self._in_step(self._condition.copy())
        start = self._at_root(self._start.copy()) if self._start is not None else exp.true()
        walk = exp.union(self._roots(start), self._step(condition), distinct=False)
        source = self._source(siblings)
        for name in ("connect", "joins"):
            select.set(name, None)
        select.set("from_", exp.From(this=exp.to_table(_WALK)))
        clause = select.args.get("with_") or exp.With(expressions=[])
        clause.set("recursive", True)
        clause.append("expressions", _named(_SOURCE, source, materialized=True))
        clause.append("expressions", _named(_WALK, walk))
        select.set("with_", clause)
        if self._loops and not self._no_cycle:
            complaint = exp.Anonymous(this="error", expressions=[exp.Literal.string(_LOOP_ERROR)])
            check = exp.Case(ifs=[exp.If(this=_of(_WALK, _LOOP), true=complaint)], default=exp.true())
            select.where(exp.cast(check, "boolean"), copy=False)
        if siblings is not None or self._plain():
            select.order_by(_of(_WALK, _PATH), append=False, copy=False)

    def _joins(self) -> list[exp.Join]:
        return list(self._select.args.get("joins") or ())

    def _plain(self) -> bool:
        """Say whether the rows keep an order that nobody asked for."""
        changed = ("order", "group", "distinct", "having")
        if any(self._select.args.get(clause) for clause in changed):
            return False
        return not any(list(_owned(projection, exp.AggFunc)) for projection in self._select.expressions)

    def _take_siblings(self) -> exp.Order | None:
        order = self._select.args.get("order")
        if order is None or not order.args.get("siblings"):
            return None
        self._select.set("order", None)
        taken: exp.Order = order.copy()
        return taken

    # -- the parts of the recursion

    def _source(self, siblings: exp.Order | None) -> exp.Select:
        """Return the rows to walk over, numbered."""
        numbering = exp.Window(
            this=exp.RowNumber(), order=exp.Order(expressions=siblings.expressions) if siblings else None
        )
        source = exp.Select().from_(self._select.args["from_"].this.copy())
        source.set("joins", [join.copy() for join in self._joins()])
        if self._stars():
            source.select(exp.Star(), copy=False)
        else:
            for name, column in self._columns.items():
                source.select(exp.alias_(column.copy(), name, quoted=True), copy=False)
        return source.select(exp.alias_(numbering, _ROW), copy=False)

    def _roots(self, start: exp.Expr) -> exp.Select:
        roots = exp.Select().from_(exp.alias_(exp.to_table(_SOURCE), _CHILD, table=True))
        helpers = {
            _LEVEL: exp.Literal.number(1),
            _PATH: exp.Array(expressions=[_of(_CHILD, _ROW)]),
            _LOOP: exp.false(),
        }
        carried = {name: value for name, value, _ in self._carried}
        return _with_columns(roots, {**helpers, **carried}).where(start, copy=False)

    def _step(self, condition: exp.Expr) -> exp.Select:
        step = exp.Select().from_(exp.alias_(exp.to_table(_WALK), _PARENT, table=True))
        step.join(exp.alias_(exp.to_table(_SOURCE), _CHILD, table=True), on=condition, copy=False)
        path = _of(_PARENT, _PATH)
        seen: exp.Expr = exp.false()
        if self._loops:
            seen = exp.Anonymous(this="list_contains", expressions=[path.copy(), _of(_CHILD, _ROW)])
        helpers = {
            _LEVEL: _of(_PARENT, _LEVEL) + 1,
            _PATH: exp.Anonymous(this="list_append", expressions=[path, _of(_CHILD, _ROW)]),
            _LOOP: seen,
        }
        carried = {name: value for name, _, value in self._carried}
        _with_columns(step, {**helpers, **carried})
        barred = seen.copy() if self._no_cycle else _of(_PARENT, _LOOP)
        return step.where(exp.not_(barred), copy=False)

    # -- columns of the query, put in terms of the recursion

    def _at_root(self, node: exp.Expr) -> exp.Expr:
        """Return an expression over a root row."""
        return self._mapped(node, _CHILD, level=exp.Literal.number(1))

    def _in_step(self, node: exp.Expr) -> exp.Expr:
        """Return an expression over a row and the one before it."""
        for prior in list(_owned(node, exp.Prior)):
            inner = self._mapped(prior.this.copy(), _PARENT, level=_of(_PARENT, _LEVEL))
            node = _put(node, prior, exp.paren(inner))
        return self._mapped(node, _CHILD, level=_of(_PARENT, _LEVEL) + 1)

    def _rewrite_outer(self) -> None:
        """Put the clauses that stay outside in terms of the walk."""
        aliases = {projection.alias.upper() for projection in self._select.expressions if projection.alias}
        projections = [one if is_star(one) else self._projection(one) for one in self._select.expressions]
        self._select.set("expressions", [self._star() if is_star(one) else one for one in projections])
        for name in ("where", "group", "having", "order"):
            clause = self._select.args.get(name)
            if clause is not None:
                # Names of the select list come before columns in ORDER BY alone.
                kept = aliases if name == "order" else set()
                self._select.set(name, self._outer(clause, kept))

    def _star(self) -> exp.Expr:
        if self._joined:
            raise OraError(3001, "unimplemented feature: * of a join with CONNECT BY")
        names = [*_HELPERS, *(name for name, _, _ in self._carried)]
        return exp.Star(except_=[exp.to_identifier(name) for name in names])

    def _projection(self, projection: exp.Expr) -> exp.Expr:
        value = projection.unalias()
        name = projection.alias_or_name if isinstance(projection, exp.Alias | exp.Column) else ""
        outer = self._outer(value, set())
        return exp.alias_(outer, name, quoted=name != name.upper()) if name else outer

    def _outer(self, node: exp.Expr, aliases: set[str]) -> exp.Expr:
        for found in list(_owned(node, exp.Func, exp.Prior, exp.ConnectByRoot)):
            carried = self._carry(found)
            if carried is not None:
                node = _put(node, found, _of(_WALK, carried))
        return self._mapped(node, _WALK, level=_of(_WALK, _LEVEL), kept=aliases)

    def _carry(self, node: exp.Expr) -> str | None:
        """Return the name under which the walk carries a value of an ancestor; None if it is no such value."""
        name = f"hierarchy_carried_{len(self._carried)}"
        if isinstance(node, exp.Prior):
            value = self._mapped(node.this.copy(), _PARENT, level=_of(_PARENT, _LEVEL))
            missing = exp.Case(ifs=[exp.If(this=exp.false(), true=self._at_root(node.this.copy()))])
            self._carried.append((name, missing, value))
        elif isinstance(node, exp.ConnectByRoot):
            self._carried.append((name, self._at_root(node.this.copy()), _of(_PARENT, name)))
        elif isinstance(node, exp.Anonymous) and node.name.upper() == "SYS_CONNECT_BY_PATH":
            value, mark = (part.copy() for part in node.expressions)
            here = [mark, self._at_root(value)]
            root = exp.Anonymous(this="concat", expressions=here)
            below = exp.Anonymous(this="concat", expressions=[_of(_PARENT, name), *(part.copy() for part in here)])
            self._carried.append((name, root, below))
        else:
            return None
        return name

    def _mapped(self, node: exp.Expr, table: str, *, level: exp.Expr, kept: set[str] | None = None) -> exp.Expr:
        """Return an expression whose columns are those of one side of the recursion."""
        for column in list(_owned(node, exp.Column)):
            if column.table in (_WALK, _PARENT, _CHILD) or (not column.table and column.name.upper() in (kept or ())):
                continue
            node = _put(node, column, self._column(column, table, level))
        return node

    def _column(self, column: exp.Column, table: str, level: exp.Expr) -> exp.Expr:
        name = column.name.upper()
        if not column.table and name == "LEVEL":
            return level.copy()
        if not column.table and name == "CONNECT_BY_ISLEAF":
            return _leaf()
        if not column.table and name in ("CONNECT_BY_ISCYCLE", "ROWNUM"):
            raise OraError(3001, f"unimplemented feature: {name} with CONNECT BY")
        if self._joined and not column.table:
            raise OraError(3001, f"unimplemented feature: {name} of a join with CONNECT BY, without its table")
        if self._stars():
            return _of(table, column.name, quoted=bool(column.this.args.get("quoted")))
        inner = f"{column.table.upper()}.{column.name}" if self._joined else column.name
        self._columns.setdefault(inner, column.copy())
        return _of(table, inner, quoted=True)

    def _stars(self) -> bool:
        return any(is_star(one) for one in self._select.expressions)


def _leaf() -> exp.Expr:
    """Return 1 for a row that no other row was reached from, else 0."""
    below = exp.Select().select(exp.Literal.number(1))
    below.from_(exp.alias_(exp.to_table(_WALK), _CHILD, table=True), copy=False)
    bounds = [exp.Literal.number(1), exp.Literal.number(-2)]
    parent = exp.Anonymous(this="list_slice", expressions=[_of(_CHILD, _PATH), *bounds])
    below.where(parent.eq(_of(_WALK, _PATH)), copy=False)
    return exp.Case(
        ifs=[exp.If(this=exp.Exists(this=below), true=exp.Literal.number(0))], default=exp.Literal.number(1)
    )


def _owned(node: exp.Expr, *kinds: type[Node]) -> Iterator[Node]:
    """Yield the nodes of these kinds that belong to the query itself, not to a query within it."""
    for found in node.walk(prune=lambda inner: isinstance(inner, exp.Query | exp.Prior) and inner is not node):
        if isinstance(found, kinds):
            yield found


def _put(root: exp.Expr, node: exp.Expr, new: exp.Expr) -> exp.Expr:
    """Return `root` with `new` in the place of `node`, which may be the root itself."""
    if node is root:
        return new
    node.replace(new)
    return root


def _of(table: str, name: str, *, quoted: bool = False) -> exp.Column:
    return exp.column(exp.to_identifier(name, quoted=quoted), table)


def _with_columns(select: exp.Select, values: dict[str, exp.Expr]) -> exp.Select:
    """Add the child's own columns, then values under their names."""
    select.select(exp.column(exp.Star(), _CHILD), copy=False)
    for name, value in values.items():
        select.select(exp.alias_(value.copy(), name), copy=False)
    return select


def _named(name: str, query: exp.Query, *, materialized: bool | None = None) -> exp.CTE:
    return exp.CTE(this=query, alias=exp.TableAlias(this=exp.to_identifier(name)), materialized=materialized)
