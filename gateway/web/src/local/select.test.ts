import { describe, expect, it } from "vitest";

import { ofValues, type Relation } from "./relation";
import { run } from "./select";
import { parseQuery, Refusal, type Kind, type Value } from "./sql";

function table(columns: Record<string, [Kind, Value[]]>): Relation {
  const made = Object.entries(columns).map(([name, [kind, values]]) => ofValues(name, kind, values));
  return { size: Object.values(columns)[0]![1].length, columns: made };
}

const HOLDS = table({
  reason: ["text", ["scratch", null, "void", "scratch"]], qty: ["int", [3, 4, 5, null]], day: ["date", [20000, 20001, 20001, 20002]],
});

function rows(sql: string, tables: Record<string, Relation> = { t: HOLDS }): Value[][] {
  const found = run(parseQuery(sql), tables, {});
  return Array.from({ length: found.size }, (_, at) => found.columns.map((column) => column.at(found.rows ? found.rows[at]! : at)));
}

describe("a statement over a table of the page", () => {
  it("treats what is missing as SQL does", () => {
    expect(rows("select count(*), count(reason), sum(qty), count(*) filter (where reason <> 'void') from t")).toEqual([[4, 3, 12, 2]]);
    expect(rows("select reason from t where not (reason = 'scratch') ")).toEqual([["void"]]);
    expect(rows("select reason is distinct from 'void' from t where qty > 3 order by qty")).toEqual([[true], [false]]);
    expect(rows("select sum(qty) from t where qty > 9")).toEqual([[null]]);
  });

  it("groups by what an item is called, and orders missing values last", () => {
    expect(rows("select reason as what, count(*) as n from t group by what order by what desc")).toEqual([["void", 1], ["scratch", 2], [null, 1]]);
  });

  it("sums along an order, peers together unless rows are meant", () => {
    expect(rows("select day, sum(1) over (order by day) as n from t order by day, n")).toEqual([[20000, 1], [20001, 3], [20001, 3], [20002, 4]]);
    expect(rows("select sum(qty) over (order by qty desc rows unbounded preceding) as n from t where qty is not null order by n")).toEqual([[5], [9], [12]]);
  });

  it("joins by equality, with what has no partner where that is wanted", () => {
    const other = table({ name: ["text", ["scratch"]], weight: ["int", [7]] });
    expect(rows("select t.reason, o.weight from t left join o on o.name = t.reason order by t.qty", { t: HOLDS, o: other })).toEqual([["scratch", 7], [null, null], ["void", null], ["scratch", 7]]);
  });

  it("divides whole numbers exactly", () => {
    expect(rows("select 9007199254740991 // 3, -7 // 2, 7 % 4, 1 // 0, 7 / 2")).toEqual([[3002399751580330, -3, 3, null, 3.5]]);
  });

  it("sorts texts by code point, as the server does", () => {
    const letters = table({ a: ["text", ["\u{1F600}", "\uFF5E", "z"]] });
    expect(rows("select a from letters order by a", { letters })).toEqual([["z"], ["\uFF5E"], ["\u{1F600}"]]);
  });
});

describe("what is not known here", () => {
  it.each([
    "select qty like 'a' from t", "select reason from t where qty in (select 1)", "select median(qty) from t", "select a from nowhere",
    "select nobody from t", "select reason + 1 from t", "with recursive r as (select 1) select 1 from r", "select qty from t group by reason",
    "select 9007199254740991 + 1", "select 1 from t join t as u on t.qty < u.qty", "select qty // 2.5 from t",
  ])("is refused: %s", (sql) => {
    expect(() => rows(sql)).toThrow(Refusal);
  });
});
