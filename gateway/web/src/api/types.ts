/** What the gateway says, as docs/http.md has it. */

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type JsonObject = { [name: string]: Json };
export type Cell = null | boolean | number | string;

/** The part of JSON Schema that dataset definitions use. */
export interface Schema {
  title?: string;
  labels?: Labels;
  description?: string;
  type?: string | string[];
  format?: string;
  enum?: Cell[];
  items?: Schema;
  oneOf?: Schema[];
  anyOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  default?: Json;
  examples?: Json[];
  pattern?: string;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  maxLength?: number;
  [extension: `x-${string}`]: Json | undefined;
}

/** Texts in other languages beside the English title; a definition without them is shown in English. */
export type Labels = Record<string, string>;

export interface Column {
  name: string;
  type: string;
  title?: string;
  description?: string;
  labels?: Labels;
  unit?: string | null;
  scale?: number | null;
  /** How a measure may be put together over rows: `sum`, `min`, `max`, or `none`. */
  aggregate?: string | null;
  role?: string | null;
  /** The filter that a click on a value sets. */
  filter?: string | null;
}

export interface View {
  name: string;
  title: string;
  description?: string;
  labels?: Labels;
  chart: string | null;
  paged: boolean;
  filters: string[];
  /** The view's own parameters; each has a default. */
  parameters?: Schema;
  /** The filter that clicking on the view sets, and that therefore does not narrow it. */
  selects?: string | null;
  /** The measure that is drawn first. */
  measure?: string | null;
  /** What its figures leave out, by language. */
  note?: Labels;
  sort_keys: { name: string; descending: boolean }[];
  columns: Column[];
}

export interface Dataset {
  name: string;
  route: string;
  title: string;
  description: string;
  labels?: Labels;
  descriptions?: Labels;
  version: number;
  /** `snapshot` datasets answer views without a query. */
  kind?: string;
  modes?: Mode[];
  modes_parameter?: string | null;
  day_rule: string;
  day_rules?: Labels;
  max_range_days: number;
  parameters: Schema;
  filters: Schema;
  initial_views: string[];
  views: View[];
}

/** A way to ask: parameters that must be given, and those that must not. */
export interface Mode {
  name: string;
  required: string[];
  refused: string[];
  title?: string;
  labels?: Labels;
}

export interface Catalogue {
  plant_time: string;
  datasets: Dataset[];
}

export interface TimeOrIds {
  part: string;
  start?: string | null;
  end?: string | null;
  id_count?: number;
}

export interface Gap extends TimeOrIds {
  code: string;
}

export interface Receipt {
  query_id: string;
  status: "complete" | "truncated" | "partial";
  row_count: number;
  read_time: string | null;
  expires_time: string | null;
  as_of_time: string | null;
  tier: string | null;
  chunks: { total: number; reused: number; run: number; failed: number };
  warehouse_statements: number;
  warehouse_row_count: number;
  failed_ranges: Gap[];
  truncated_ranges: Gap[];
  plan: string;
  stale?: boolean;
  degraded?: boolean;
}

export interface PlannedChunk extends TimeOrIds {
  index: number;
  cached: boolean;
  reason: string;
}

export interface Plan {
  query_id: string;
  parameters: JsonObject;
  plan: string;
  chunks: PlannedChunk[];
  warnings: string[];
  estimated_row_count: number | null;
  estimated_duration_s: number | null;
}

export type ChunkState = "queued" | "running" | "reused" | "done" | "failed" | "truncated" | "cancelled";

export interface ChunkProgress extends TimeOrIds {
  index: number;
  state: string;
  row_count: number;
  code: string | null;
}

export interface Progress {
  total_count: number;
  completed_count: number;
  failed_count: number;
  percent: number;
  row_count: number;
  remaining_s: number | null;
  chunks: ChunkProgress[];
}

export type QueryStatus = "running" | "completed" | "partial" | "failed" | "cancelled";

export interface Query {
  query_id: string;
  dataset: string;
  parameters: JsonObject;
  status: QueryStatus;
  progress: Progress;
  start_time: string | null;
  receipt?: Receipt;
  error?: { code: string; message: string };
}

export interface RunningQuery extends Query {
  user: string | null;
  request_id: string;
  elapsed_s: number;
}

/** A view that the gateway keeps under a name. */
export interface KeptView {
  id: string;
  name: string;
  note: string;
  /** Address within the page. */
  path: string;
  owner: string;
  mine: boolean;
  shared: boolean;
  created_time: string;
}

export interface Permalink {
  id: string;
  path: string;
  expires_time: string;
}

export interface Page {
  page: number;
  page_size: number;
  total_count: number;
  page_count: number;
}

export interface Table {
  columns: { name: string; type: string }[];
  rows: Cell[][];
  page?: Page;
}

/** The answer of `POST …/query` at 200, and at 202, where it is the query as it stands. */
export interface Started {
  query_id: string;
  status: QueryStatus;
  receipt?: Receipt;
  progress?: Progress;
  views?: Record<string, Table>;
}

export interface Look {
  query_id: string;
  receipt: Receipt;
  views: Record<string, Table>;
}

export interface OptionList {
  values: { value: string | null; row_count: number }[];
  truncated: boolean;
}

export interface Options {
  query_id: string;
  receipt: Receipt;
  options: Record<string, OptionList>;
}

export interface ResolvedContainer {
  container_id: string;
  lot_id: string | null;
  input_value: string;
  spec_name: string | null;
  qty: number | null;
  match_source: string;
}

export interface Resolution {
  kind: string;
  data: ResolvedContainer[];
  total: number;
  input_count: number;
  not_found: string[];
  expansion_info: Record<string, number>;
  guardrail: { over_container_limit: boolean; max_container_ids: number };
  receipt: Receipt;
}

export interface GenealogyNode {
  container_id: string;
  container_name: string | null;
  mfgorder_name: string | null;
  wafer_lot: string | null;
  node_type: string;
}

export interface GenealogyEdge {
  from_cid: string;
  to_cid: string;
  edge_type: string;
}

export interface Genealogy {
  nodes: Record<string, GenealogyNode>;
  edges: GenealogyEdge[];
  cid_to_name: Record<string, string>;
  seed_roots: Record<string, string>;
  not_found_ids: string[];
  truncated_ids: string[];
  receipt: Receipt;
}

export interface Descendants {
  children_map: Record<string, string[]>;
  container_names: Record<string, string>;
  not_found_ids: string[];
  truncated_ids: string[];
  receipt: Receipt;
}

export interface Events {
  domain: string;
  columns: { name: string; type: string }[];
  records_by_cid: Record<string, Record<string, Cell>[]>;
  failed_batches: JsonObject[];
  warnings: string[];
  receipt: Receipt;
}
