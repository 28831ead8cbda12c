/**
 * The SQL of views as a tree: SELECT over tables that are there, in the words that views of ours use.
 *
 * What is not known here is refused by name, and then the gateway answers; nothing is guessed.
 */

/** Something that is not computed here. */
export class Refusal extends Error {}

export type Value = null | number | string | boolean;
export type Kind = "int" | "double" | "text" | "bool" | "date" | "time" | "interval" | "null" | "row" | "list";

export interface OrderTerm { expr: Expr; descending: boolean; nullsFirst: boolean }
export interface Over { partition: Expr[]; order: OrderTerm[]; rows: boolean }
export interface Call {
  t: "fn"; name: string; args: Expr[]; distinct: boolean; star: boolean; order: OrderTerm[]; filter?: Expr; over?: Over;
}
export type Expr =
  | { t: "lit"; value: Value; kind: Kind }
  | { t: "bind"; name: string }
  | { t: "ref"; table?: string; name: string }
  | { t: "op"; op: string; args: Expr[] }
  | Call
  | { t: "case"; of?: Expr; whens: [Expr, Expr][]; otherwise?: Expr }
  | { t: "cast"; to: Kind; arg: Expr }
  | { t: "sub"; query: Query };

export interface Item { expr?: Expr; star?: string; alias: string }
export interface Source { name: string; table?: string; query?: Query; columns?: string[] }
export interface Join { how: "from" | "cross" | "inner" | "left"; source: Source; on?: Expr }
export interface Select {
  items: Item[]; distinct: boolean; from: Join[]; where?: Expr; group: Expr[]; having?: Expr;
}
export interface Query {
  ctes: { name: string; query: Query }[];
  /** More than one: put together by `union all`. */
  selects: Select[];
  values?: Expr[][];
  order: OrderTerm[];
  limit?: Expr;
}

const TOKEN = /\s+|--[^\n]*|('(?:[^']|'')*')|(\d+(?:\.\d+)?)|(\$?[A-Za-z_]\w*)|"([^"]+)"|(\/\/|<>|!=|<=|>=|\|\||::|[-+*/%<>=(),.])|(.)/gsy;
const DAY_MICROS = 86_400_000_000;
const KINDS: Record<string, Kind> = {
  bigint: "int", integer: "int", int: "int", smallint: "int", hugeint: "int", double: "double", varchar: "text", text: "text",
  boolean: "bool", date: "date", timestamp: "time", timestamp_s: "time",
};
const RESERVED = new Set(("select from where group by having order limit union all as on and or not is null in between case when then "
  + "else end cast join left inner cross distinct with filter over partition rows asc desc nulls values using like").split(" "));

interface Token { kind: "text" | "number" | "word" | "name" | "sign" | "end"; text: string }

function tokens(sql: string): Token[] {
  const found: Token[] = [];
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(sql); match; match = TOKEN.exec(sql)) {
    const [, text, number, word, name, sign, strange] = match;
    if (strange !== undefined) throw new Refusal(`the sign ${strange}`);
    if (text !== undefined) found.push({ kind: "text", text: text.slice(1, -1).replace(/''/g, "'") });
    else if (number !== undefined) found.push({ kind: "number", text: number });
    else if (word !== undefined) found.push({ kind: "word", text: word.startsWith("$") ? word : word.toLowerCase() });
    else if (name !== undefined) found.push({ kind: "name", text: name });
    else if (sign !== undefined) found.push({ kind: "sign", text: sign });
  }
  found.push({ kind: "end", text: "" });
  return found;
}

class Parser {
  private at = 0;
  constructor(private readonly list: Token[]) {}

  private get token(): Token { return this.list[this.at]!; }

  private peek(...words: string[]): boolean {
    return words.every((word, ahead) => {
      const token = this.list[this.at + ahead];
      return token !== undefined && token.kind !== "text" && token.kind !== "name" && token.text === word;
    });
  }

  private take(...words: string[]): boolean {
    if (!this.peek(...words)) return false;
    this.at += words.length;
    return true;
  }

  private need(...words: string[]): void {
    if (!this.take(...words)) throw new Refusal(`${this.token.text || "the end"} where ${words.join(" ")} was expected`);
  }

  private identifier(): string {
    const token = this.token;
    if (token.kind !== "name" && (token.kind !== "word" || token.text.startsWith("$"))) throw new Refusal(`${token.text} as a name`);
    this.at += 1;
    return token.text;
  }

  private listed<T>(one: () => T): T[] {
    const found = [one()];
    while (this.take(",")) found.push(one());
    return found;
  }

  whole(): Query {
    return this.ended(this.query());
  }

  wholeExpression(): Expr {
    return this.ended(this.expression());
  }

  wholeOrder(): OrderTerm[] {
    return this.ended(this.listed(() => this.orderTerm()));
  }

  private ended<T>(found: T): T {
    if (this.token.kind !== "end") throw new Refusal(`${this.token.text} after the end`);
    return found;
  }

  private query(): Query {
    const ctes: Query["ctes"] = [];
    if (this.take("with")) {
      if (this.peek("recursive")) throw new Refusal("recursive");
      ctes.push(...this.listed(() => {
        const name = this.identifier();
        this.need("as", "(");
        const query = this.query();
        this.need(")");
        return { name, query };
      }));
    }
    const made: Query = { ctes, selects: [], order: [] };
    if (this.take("values")) {
      made.values = this.listed(() => {
        this.need("(");
        const row = this.listed(() => this.expression());
        this.need(")");
        return row;
      });
    } else {
      do made.selects.push(this.select()); while (this.take("union", "all"));
    }
    if (this.take("order", "by")) made.order = this.listed(() => this.orderTerm());
    if (this.take("limit")) made.limit = this.expression();
    return made;
  }

  private select(): Select {
    this.need("select");
    const distinct = this.take("distinct");
    const made: Select = { items: this.listed(() => this.item()), distinct, from: [], group: [] };
    if (this.take("from")) made.from = this.joins();
    if (this.take("where")) made.where = this.expression();
    if (this.take("group", "by")) made.group = this.listed(() => this.expression());
    if (this.take("having")) made.having = this.expression();
    return made;
  }

  private item(): Item {
    if (this.take("*")) return { star: "", alias: "" };
    if (this.token.kind === "word" && this.list[this.at + 1]?.text === "." && this.list[this.at + 2]?.text === "*") {
      const table = this.identifier();
      this.need(".", "*");
      return { star: table, alias: "" };
    }
    const expr = this.expression();
    if (this.take("as")) return { expr, alias: this.identifier() };
    if (this.token.kind === "word" && !RESERVED.has(this.token.text)) return { expr, alias: this.identifier() };
    return { expr, alias: expr.t === "ref" ? expr.name : "" };
  }

  private joins(): Join[] {
    const found: Join[] = [{ how: "from", source: this.source() }];
    for (;;) {
      if (this.take("cross", "join") || this.take(",")) found.push({ how: "cross", source: this.source() });
      else if (this.take("left", "join")) found.push(this.joined("left"));
      else if (this.take("inner", "join") || this.take("join")) found.push(this.joined("inner"));
      else return found;
    }
  }

  private joined(how: "inner" | "left"): Join {
    const source = this.source();
    this.need("on");
    return { how, source, on: this.expression() };
  }

  private source(): Source {
    let made: Source;
    if (this.take("(")) {
      made = { name: "", query: this.query() };
      this.need(")");
    } else {
      const table = this.identifier();
      if (this.peek("(")) throw new Refusal(`${table}()`);
      made = { name: table, table };
    }
    if (this.take("as") || (this.token.kind === "word" && !RESERVED.has(this.token.text))) {
      made.name = this.identifier();
      if (this.take("(")) {
        made.columns = this.listed(() => this.identifier());
        this.need(")");
      }
    }
    return made;
  }

  private orderTerm(): OrderTerm {
    const expr = this.expression();
    const descending = this.take("desc");
    if (!descending) this.take("asc");
    const nullsFirst = this.take("nulls", "first");
    if (!nullsFirst) this.take("nulls", "last");
    return { expr, descending, nullsFirst };
  }

  private expression(): Expr {
    let left = this.conjunction();
    while (this.take("or")) left = { t: "op", op: "or", args: [left, this.conjunction()] };
    return left;
  }

  private conjunction(): Expr {
    let left = this.negation();
    while (this.take("and")) left = { t: "op", op: "and", args: [left, this.negation()] };
    return left;
  }

  private negation(): Expr {
    return this.take("not") ? { t: "op", op: "not", args: [this.negation()] } : this.comparison();
  }

  private comparison(): Expr {
    let left = this.sum();
    for (;;) {
      const sign = ["=", "<>", "!=", "<", ">", "<=", ">="].find((item) => this.peek(item));
      if (sign) {
        this.need(sign);
        left = { t: "op", op: sign === "!=" ? "<>" : sign, args: [left, this.sum()] };
      } else if (this.take("is")) left = this.being(left);
      else if (this.peek("between") || this.peek("in") || this.peek("not", "between") || this.peek("not", "in")) {
        const not = this.take("not");
        const found = this.take("between") ? this.between(left) : this.within(left);
        left = not ? { t: "op", op: "not", args: [found] } : found;
      } else if (this.peek("like") || this.peek("not", "like") || this.peek("ilike")) throw new Refusal("like");
      else return left;
    }
  }

  private being(left: Expr): Expr {
    const not = this.take("not");
    const wrapped = (found: Expr): Expr => (not ? { t: "op", op: "not", args: [found] } : found);
    if (this.take("null")) return wrapped({ t: "op", op: "is null", args: [left] });
    if (this.take("true")) return wrapped({ t: "op", op: "is true", args: [left] });
    if (this.take("false")) return wrapped({ t: "op", op: "is true", args: [{ t: "op", op: "not", args: [left] }] });
    this.need("distinct", "from");
    return wrapped({ t: "op", op: "is distinct", args: [left, this.sum()] });
  }

  private between(left: Expr): Expr {
    const low = this.sum();
    this.need("and");
    return { t: "op", op: "and", args: [{ t: "op", op: ">=", args: [left, low] }, { t: "op", op: "<=", args: [left, this.sum()] }] };
  }

  private within(left: Expr): Expr {
    this.need("in", "(");
    if (this.peek("select") || this.peek("with")) throw new Refusal("in (select)");
    const found: Expr = { t: "op", op: "in", args: [left, ...this.listed(() => this.expression())] };
    this.need(")");
    return found;
  }

  private sum(): Expr {
    let left = this.product();
    for (;;) {
      const sign = ["+", "-", "||"].find((item) => this.take(item));
      if (!sign) return left;
      left = { t: "op", op: sign, args: [left, this.product()] };
    }
  }

  private product(): Expr {
    let left = this.unary();
    for (;;) {
      const sign = ["*", "//", "/", "%"].find((item) => this.take(item));
      if (!sign) return left;
      left = { t: "op", op: sign, args: [left, this.unary()] };
    }
  }

  private unary(): Expr {
    return this.take("-") ? { t: "op", op: "negative", args: [this.unary()] } : this.primary();
  }

  private primary(): Expr {
    const token = this.token;
    if (token.kind === "text") { this.at += 1; return { t: "lit", value: token.text, kind: "text" }; }
    if (token.kind === "number") {
      this.at += 1;
      return { t: "lit", value: Number(token.text), kind: token.text.includes(".") ? "double" : "int" };
    }
    if (this.take("(")) return this.parenthesis();
    if (this.take("null")) return { t: "lit", value: null, kind: "null" };
    if (this.take("true")) return { t: "lit", value: true, kind: "bool" };
    if (this.take("false")) return { t: "lit", value: false, kind: "bool" };
    if (this.take("case")) return this.cases();
    if (token.kind === "word" && token.text.startsWith("$")) { this.at += 1; return { t: "bind", name: token.text.slice(1) }; }
    if ((token.text === "cast" || token.text === "date") && token.kind === "word") {
      const cast = this.casting();
      if (cast) return cast;
    }
    if (this.take("interval", "1", "day")) return { t: "lit", value: DAY_MICROS, kind: "interval" };
    const name = this.identifier();
    if (RESERVED.has(name) && token.kind === "word") throw new Refusal(name);
    if (this.take("(")) return this.call(name);
    if (this.take(".")) return { t: "ref", table: name, name: this.identifier() };
    return { t: "ref", name };
  }

  private parenthesis(): Expr {
    if (this.peek("select") || this.peek("with")) {
      const query = this.query();
      this.need(")");
      return { t: "sub", query };
    }
    const found = this.listed(() => this.expression());
    this.need(")");
    return found.length === 1 ? found[0]! : { t: "op", op: "row", args: found };
  }

  private casting(): Expr | null {
    if (this.take("cast", "(")) {
      const arg = this.expression();
      this.need("as");
      const name = this.identifier();
      const to = KINDS[name];
      if (!to || this.peek("(")) throw new Refusal(`cast as ${name}`);
      this.need(")");
      return { t: "cast", to, arg };
    }
    const next = this.list[this.at + 1];
    if (this.peek("date") && next?.kind === "text") {
      this.at += 2;
      return { t: "cast", to: "date", arg: { t: "lit", value: next.text, kind: "text" } };
    }
    return null;
  }

  private cases(): Expr {
    const made: Extract<Expr, { t: "case" }> = { t: "case", whens: [] };
    if (!this.peek("when")) made.of = this.expression();
    while (this.take("when")) {
      const when = this.expression();
      this.need("then");
      made.whens.push([when, this.expression()]);
    }
    if (this.take("else")) made.otherwise = this.expression();
    this.need("end");
    return made;
  }

  private call(name: string): Expr {
    const made: Call = { t: "fn", name, args: [], distinct: false, star: false, order: [] };
    if (this.take("*")) made.star = true;
    else if (!this.peek(")")) {
      made.distinct = this.take("distinct");
      made.args = this.listed(() => this.expression());
      if (this.take("order", "by")) made.order = this.listed(() => this.orderTerm());
    }
    this.need(")");
    if (this.take("filter", "(")) {
      this.need("where");
      made.filter = this.expression();
      this.need(")");
    }
    if (this.take("over", "(")) made.over = this.window();
    return made;
  }

  private window(): Over {
    const over: Over = { partition: [], order: [], rows: false };
    if (this.take("partition", "by")) over.partition = this.listed(() => this.expression());
    if (this.take("order", "by")) over.order = this.listed(() => this.orderTerm());
    if (this.take("rows")) {
      if (!this.take("unbounded", "preceding")) this.need("between", "unbounded", "preceding", "and", "current", "row");
      over.rows = true;
    }
    this.need(")");
    return over;
  }
}

/** The statement as a tree. Throws `Refusal`. */
export const parseQuery = (sql: string): Query => new Parser(tokens(sql)).whole();
/** A condition, or any other expression, as a tree. Throws `Refusal`. */
export const parseExpression = (sql: string): Expr => new Parser(tokens(sql)).wholeExpression();
/** Terms of an order. Throws `Refusal`. */
export const parseOrder = (sql: string): OrderTerm[] => new Parser(tokens(sql)).wholeOrder();
