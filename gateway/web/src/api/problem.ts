/** What went wrong with a call, in the words of docs/errors.md. */

export interface FieldError {
  field: string;
  description: string;
}

export interface ProblemFields {
  status: number;
  code: string;
  title: string;
  detail: string;
  retryAfterS: number | null;
  requestId: string | null;
  errors: FieldError[];
}

/** A refusal of the gateway, or its absence: then `status` is 0 and `code` is `OFFLINE`. */
export class Problem extends Error implements ProblemFields {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly retryAfterS: number | null;
  readonly requestId: string | null;
  readonly errors: FieldError[];

  constructor(fields: ProblemFields) {
    super(fields.detail || fields.title || fields.code);
    this.status = fields.status;
    this.code = fields.code;
    this.title = fields.title;
    this.detail = fields.detail;
    this.retryAfterS = fields.retryAfterS;
    this.requestId = fields.requestId;
    this.errors = fields.errors;
  }

  /** The rows are gone; the same question may be asked again, once. */
  get expired(): boolean {
    return this.status === 410;
  }

  /** Trying again by itself makes sense after a while. */
  get busy(): boolean {
    return this.status === 429 || this.status === 503;
  }

  static offline(): Problem {
    return new Problem({
      status: 0, code: "OFFLINE", title: "", detail: "", retryAfterS: null, requestId: null, errors: [],
    });
  }

  static async of(response: Response): Promise<Problem> {
    const requestId = response.headers.get("X-Request-Id");
    const header = Number(response.headers.get("Retry-After"));
    const fallback = Number.isFinite(header) && header > 0 ? header : null;
    let body: Record<string, unknown> = {};
    try {
      const parsed: unknown = await response.json();
      if (parsed !== null && typeof parsed === "object") body = parsed as Record<string, unknown>;
    } catch {
      // A proxy answered in its own words; the status is all there is.
    }
    const text = (name: string): string => (typeof body[name] === "string" ? (body[name] as string) : "");
    const retry = body["retry_after_s"];
    return new Problem({
      status: response.status,
      code: text("code") || `HTTP_${response.status}`,
      title: text("title"),
      detail: text("detail"),
      retryAfterS: typeof retry === "number" ? retry : fallback,
      requestId,
      errors: Array.isArray(body["errors"]) ? (body["errors"] as FieldError[]) : [],
    });
  }
}

/** Any failure as a problem; faults of our own stay what they are. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof TypeError) return Problem.offline();
  return new Problem({
    status: -1, code: "PAGE_FAULT", title: "", detail: String(error), retryAfterS: null, requestId: null, errors: [],
  });
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
