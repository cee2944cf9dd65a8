import type {
  AuditRecordView,
  ClusterView,
  DeploymentRecordDetail,
  DeploymentRecordView,
  GridView,
  Overview,
  PackageView,
  Plan,
  ProblemDocument,
  Source,
  SourceInput,
  SyncRun,
  Whoami,
} from './schemas.ts';

export interface PmClientOptions {
  /** Such as http://127.0.0.1:8080; no trailing slash. */
  readonly baseUrl: string;
  /** Bearer token. Absent: anonymous. */
  readonly token?: string;
  readonly fetch?: typeof fetch;
  /** Milliseconds for one request. @default 10000 */
  readonly timeoutMs?: number;
}

/** Server-side paging, sorting and filtering, the same on every list. */
export interface ListQuery {
  /** @default 50, at most 1000 */
  readonly limit?: number;
  /** From `nextCursor` of the page before. */
  readonly cursor?: string;
  /** Field name, `-` in front for descending. */
  readonly sort?: string;
  /** Free text over names. */
  readonly q?: string;
  /** Exact filters by field, such as environment=edge. */
  readonly filter?: Readonly<Record<string, string>>;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly total: number;
  readonly nextCursor: string | null;
}

/** What PM answered instead of a result: its RFC 9457 problem document. */
export class PmError extends Error {
  readonly problem: ProblemDocument;
  constructor(problem: ProblemDocument) {
    super(problem.detail ?? problem.title);
    this.name = 'PmError';
    this.problem = problem;
  }
}

export type PmClient = ReturnType<typeof createPmClient>;

/** A client of PM's REST API over fetch. Every call rejects with {@link PmError} where PM answers an error, also when PM cannot be reached (code Unavailable). */
export function createPmClient(options: PmClientOptions) {
  const doFetch = options.fetch ?? fetch;

  async function request(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
    const headers: Record<string, string> = { accept: 'application/json' };
    if (options.token !== undefined) headers['authorization'] = `Bearer ${options.token}`;
    if (body !== undefined) headers['content-type'] = 'application/json';
    const timeoutMs = options.timeoutMs ?? 10_000;
    const timeout = AbortSignal.timeout(timeoutMs);
    let response: Response;
    try {
      response = await doFetch(`${options.baseUrl}/api/v1${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      });
    } catch (cause) {
      if (signal?.aborted === true) throw cause;
      throw new PmError({
        type: 'urn:oaas:error:Unavailable',
        title: 'The Package Manager cannot be reached',
        status: 503,
        code: 'Unavailable',
        detail: timeout.aborted
          ? `It did not answer within ${String(timeoutMs / 1000)} s.`
          : `There is no connection to it: ${cause instanceof Error ? cause.message : String(cause)}.`,
        remedy: 'Check that PM runs and that its address is right; the request may be repeated.',
      });
    }
    if (response.ok) return response;
    const text = await response.text();
    throw new PmError(problemOf(response.status, text));
  }

  const getJson = async <T>(path: string, signal?: AbortSignal): Promise<T> =>
    (await (await request('GET', path, undefined, signal)).json()) as T;
  const postJson = async <T>(path: string, body: unknown = {}): Promise<T> =>
    (await (await request('POST', path, body)).json()) as T;
  const list = async <T>(path: string, query: ListQuery = {}, signal?: AbortSignal): Promise<Page<T>> => {
    const response = await request('GET', `${path}${queryString(query)}`, undefined, signal);
    const items = (await response.json()) as T[];
    return {
      items,
      total: Number(response.headers.get('x-total-count') ?? items.length),
      nextCursor: response.headers.get('x-next-cursor'),
    };
  };
  const id = encodeURIComponent;

  return {
    whoami: (signal?: AbortSignal) => getJson<Whoami>('/whoami', signal),
    overview: (signal?: AbortSignal) => getJson<Overview>('/overview', signal),

    listSources: (query?: ListQuery, signal?: AbortSignal) => list<Source>('/sources', query, signal),
    getSource: (name: string, signal?: AbortSignal) => getJson<Source>(`/sources/${id(name)}`, signal),
    putSource: async (input: SourceInput) =>
      (await (await request('PUT', `/sources/${id(input.name)}`, input)).json()) as Source,
    deleteSource: async (name: string) => {
      await request('DELETE', `/sources/${id(name)}`);
    },
    /** Looks at the repository now. */
    syncSource: (name: string) => postJson<Source>(`/sources/${id(name)}/sync`),
    suspendSource: (name: string, reason: string) => postJson<Source>(`/sources/${id(name)}/suspend`, { reason }),
    /** Ends a suspension or the pin of a rollback. */
    resumeSource: (name: string) => postJson<Source>(`/sources/${id(name)}/resume`),
    /** Applies an older commit and stays there until resumed. */
    rollbackSource: (name: string, commit: string) => postJson<Source>(`/sources/${id(name)}/rollback`, { commit }),
    listRuns: (name: string, query?: ListQuery, signal?: AbortSignal) =>
      list<SyncRun>(`/sources/${id(name)}/history`, query, signal),

    getPlan: (planId: string, signal?: AbortSignal) => getJson<Plan>(`/plans/${id(planId)}`, signal),
    /** Plans a ref of a source without applying anything. */
    createPlan: (source: string, ref: { branch?: string; tag?: string; commit?: string }) =>
      postJson<Plan>('/plans', { source, ref }),

    listPackages: (query?: ListQuery, signal?: AbortSignal) => list<PackageView>('/packages', query, signal),
    getPackage: (name: string, signal?: AbortSignal) => getJson<PackageView>(`/packages/${id(name)}`, signal),

    listRecords: (query?: ListQuery, signal?: AbortSignal) =>
      list<DeploymentRecordView>('/deployment-records', query, signal),
    getRecord: (recordId: string, signal?: AbortSignal) =>
      getJson<DeploymentRecordDetail>(`/deployment-records/${id(recordId)}`, signal),
    /** Carries out an action that is held, such as the prune of a class whose shards hold objects. */
    confirmRecord: (recordId: string, confirm: string) =>
      postJson<DeploymentRecordDetail>(`/deployment-records/${id(recordId)}/confirm`, { confirm }),

    listClusters: (query?: ListQuery, signal?: AbortSignal) => list<ClusterView>('/clusters', query, signal),
    getGrid: (environment: string, deployment: string, signal?: AbortSignal) =>
      getJson<GridView>(`/grid/${id(environment)}/${id(deployment)}`, signal),
    listAudit: (query?: ListQuery, signal?: AbortSignal) => list<AuditRecordView>('/audit', query, signal),
  };
}

function queryString(query: ListQuery): string {
  const params = new URLSearchParams();
  if (query.limit !== undefined) params.set('limit', String(query.limit));
  if (query.cursor !== undefined) params.set('cursor', query.cursor);
  if (query.sort !== undefined) params.set('sort', query.sort);
  if (query.q !== undefined && query.q !== '') params.set('q', query.q);
  for (const [field, value] of Object.entries(query.filter ?? {})) params.set(field, value);
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

function problemOf(status: number, text: string): ProblemDocument {
  try {
    const parsed = JSON.parse(text) as Partial<ProblemDocument>;
    if (typeof parsed.code === 'string' && typeof parsed.title === 'string')
      return { type: 'about:blank', status, ...parsed } as ProblemDocument;
  } catch {
    // Not JSON: a proxy in between answered.
  }
  return { type: 'about:blank', title: `HTTP ${String(status)}`, status, code: 'Internal', detail: text.slice(0, 500) };
}
