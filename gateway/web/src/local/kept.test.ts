import { describe, expect, it } from "vitest";

import { compile, type Scope } from "./expressions";
import { Kept, keyed, nameOf, overTable, passing } from "./kept";
import { codesOf, ofValues, type Column, type Relation } from "./relation";
import { run } from "./select";
import { parseExpression, parseQuery, Refusal, type Kind, type Value } from "./sql";

const SIZE = 997;
const cycle = <T>(values: T[], step: number): T[] => Array.from({ length: SIZE }, (_, row) => values[(row * step) % values.length]!);

/** Columns as a stored table has them: numbers with days coded, texts coded or not, each with gaps. */
function held(): Relation {
  const number = (name: string, kind: Kind, values: (number | null)[]): Column => {
    const numbers = Float64Array.from(values, (value) => value ?? NaN);
    return { ...ofValues(name, kind, values), numbers, key: name, coded: kind === "date" ? codesOf(numbers)! : undefined };
  };
  const columns = [
    number("qty", "int", cycle([0, 5, null, 12, 7, 3], 5)),
    number("hours", "double", cycle([0.5, 3.999, 4, null, 23.5, 71.25, 1e6], 3)),
    number("held", "date", cycle([20000, 20001, null, 20007, 20031], 7)),
    { ...ofValues("reason", "text", cycle(["scratch", null, "void", "\u{1F600}"], 11)), key: "reason" },
    { ...ofValues("lot", "text", Array.from({ length: SIZE }, (_, row) => `L${(row * 7919) % SIZE}`)), key: "lot" },
  ];
  return { size: SIZE, columns, kept: new Kept(SIZE) };
}

function scopeOf(table: Relation, binds: Scope["binds"] = {}): Scope {
  return { binds, kept: table.kept, column: (_, name) => table.columns.find((column) => column.name === name), scalar: () => { throw new Refusal("none here"); } };
}

const CONDITIONS = [
  "qty > 4 and hours < 24", "qty > 4 or hours is null or reason = 'void'", "not (qty = 5 and held >= date '1970-01-05')",
  "(reason = 'scratch') is true and qty is not null", "hours < $most and held > $first", "qty > 4 and null", "reason is null or hours is null and qty = 0",
];
const VALUES = ["cast(round(hours * 3600) as bigint)", "case when hours < 4 then 1 when hours < 24 then 2 else 3 end", "coalesce(reason, 'none')", "release", "qty + 1", "held"];

describe("what is kept of a whole table", () => {
  const table = held();
  const binds: Scope["binds"] = { most: { kind: "int", value: 70 }, first: { kind: "date", value: 20000 } };

  it.each([...CONDITIONS, ...VALUES.filter((text) => text !== "release")])("equals what each row gives: %s", (text) => {
    const expr = parseExpression(text);
    const kept = overTable(expr, scopeOf(table, binds));
    const plain = compile(expr, { ...scopeOf(table, binds), kept: undefined });
    const rows = Array.from({ length: SIZE }, (_, row) => row);
    expect(rows.map((row) => kept.at(row))).toEqual(rows.map((row) => plain.at(row)));
    expect(kept.coded ?? kept.numbers).toBeDefined();
  });

  it("is the same column at the next look, and another one for other values", () => {
    const expr = parseExpression("hours < $most and qty > 1");
    const codes = overTable(expr, scopeOf(table, binds)).coded!.codes;
    expect(overTable(expr, scopeOf(table, binds)).coded!.codes).toBe(codes);
    expect(overTable(expr, scopeOf(table, { most: { kind: "int", value: 1 } })).coded!.codes).not.toBe(codes);
  });

  it("groups numbers of few values by code", () => {
    expect(keyed(parseExpression("qty * 2"), scopeOf(table)).coded?.values.length).toBe(6);
  });

  it("does not name what depends on another statement, or on a table of its own", () => {
    expect(nameOf(parseExpression("qty > (select 1)"), scopeOf(table))).toBeNull();
    const apart = { ...table, columns: table.columns.map((column) => ({ ...column, key: undefined })) };
    expect(nameOf(parseExpression("qty > 1"), scopeOf(apart))).toBeNull();
  });

  it("leaves rows that nobody asks for alone where one of them is refused", () => {
    const expr = parseExpression("qty * 9007199254740991 > 1");
    const made = overTable(expr, scopeOf(table));
    expect([made.coded, made.at(0)]).toEqual([undefined, false]);
    expect(() => made.at(1)).toThrow(Refusal);
  });

  it("lets go of what was not read for longest when it grows too large", () => {
    const kept = new Kept(1);
    const large = () => ({ kind: "int" as const, at: () => null, numbers: new Float64Array(6 << 20) });
    const first = kept.get("first", large);
    kept.get("second", large);
    expect(kept.get("first", large)).toBe(first);
    kept.get("third", large);
    expect(kept.get("first", large)).toBe(first);
  });

  it("says where a condition holds, for the rows that were selected", () => {
    const condition = overTable(parseExpression("qty = 12"), scopeOf(table));
    const rows = Uint32Array.from(Array.from({ length: 11 }, (_, at) => at * 3));
    const expected = [...rows].map((row) => (table.columns[0]!.at(row) === 12 ? 1 : 0));
    expect(expected).toContain(1);
    expect([...passing(condition, { ...table, size: rows.length, rows })]).toEqual([...expected, 0]);
  });
});

describe("a statement over a table that is kept", () => {
  const answered = (sql: string, table: Relation): Value[][] => {
    const found = run(parseQuery(sql), { t: table }, {});
    return Array.from({ length: found.size }, (_, at) => found.columns.map((column) => column.at(found.rows ? found.rows[at]! : at)));
  };

  it.each([
    "select reason, count(*) as n, sum(qty) as q, count(qty) as there, min(hours) as low, max(held) as high from t group by reason order by n desc, reason",
    "with some as (select qty, hours, case when hours < 4 then 'short' end as span from t where qty > 0) select span, count(*) filter (where qty > 4 and hours > 1) as n from some where span is not null or qty = 7 group by span order by span",
    "select held, qty > 4 as many, avg(qty) as mean, count(distinct reason) as reasons from t group by held, many order by held, many",
    "select lot, qty, hours from t order by hours desc nulls last, lot limit 9",
    "select lot from t where reason = 'void' order by lot desc limit 3",
    "select hours, lot from t order by hours, lot desc limit 990",
  ])("answers as over one that is not: %s", (sql) => {
    const table = held();
    const plain = { size: SIZE, columns: table.columns.map(({ name, kind, at }) => ({ name, kind, at })) };
    expect(answered(sql, table)).toEqual(answered(sql, plain));
  });
});
