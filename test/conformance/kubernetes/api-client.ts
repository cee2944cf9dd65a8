/* eslint-disable @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-member-access, @typescript-eslint/no-unsafe-return -- answers are any JSON, checked by assertions */
import { Agent, request } from 'node:https';
import type { IncomingMessage } from 'node:http';

/** Any JSON object, for tests that look into answers. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- answers are checked by assertions, not by types
export type Any = any;

/** Where an API server answers. */
export interface Endpoint {
  readonly url: string;
  readonly token: string;
  readonly caPem: string;
}

export interface CallOptions {
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  /** Absent: the endpoint's own; empty: none. */
  readonly token?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Any;
}

/** One event of a watch. */
export interface WatchEvent {
  readonly type: string;
  readonly object: Any;
}

/** A watch under way: events as they came. */
export interface OpenWatch {
  readonly events: WatchEvent[];
  /** Resolves with the first event that matches, past or future. */
  until(matches: (event: WatchEvent) => boolean): Promise<WatchEvent>;
  close(): void;
}

const WAIT_MS = 20_000;

/** Speaks to an API server over HTTPS and nothing more. */
export class ApiClient {
  readonly #endpoint: Endpoint;
  readonly #agent: Agent;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
    this.#agent = new Agent({ ca: endpoint.caPem, keepAlive: true, maxSockets: 32 });
  }

  close(): void {
    this.#agent.destroy();
  }

  call(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const token = options.token ?? this.#endpoint.token;
      const payload =
        options.body === undefined
          ? undefined
          : typeof options.body === 'string'
            ? options.body
            : JSON.stringify(options.body);
      const call = request(
        `${this.#endpoint.url}${path}`,
        {
          agent: this.#agent,
          method,
          headers: {
            ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
            accept: options.accept ?? 'application/json',
            'user-agent': 'conformance/1',
            ...(payload === undefined
              ? {}
              : {
                  'content-type': options.contentType ?? 'application/json',
                  'content-length': Buffer.byteLength(payload),
                }),
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('end', () => {
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body: parse(Buffer.concat(chunks).toString('utf8')),
            });
          });
        },
      );
      call.once('error', reject);
      call.end(payload);
    });
  }

  get(path: string, accept?: string): Promise<Answer> {
    return this.call('GET', path, accept === undefined ? {} : { accept });
  }

  post(path: string, body: unknown): Promise<Answer> {
    return this.call('POST', path, { body });
  }

  put(path: string, body: unknown): Promise<Answer> {
    return this.call('PUT', path, { body });
  }

  delete(path: string, body?: unknown): Promise<Answer> {
    return this.call('DELETE', path, body === undefined ? {} : { body });
  }

  patch(path: string, type: 'json' | 'merge' | 'strategic-merge', body: unknown): Promise<Answer> {
    return this.call('PATCH', path, { body, contentType: `application/${type}-patch+json` });
  }

  apply(path: string, manager: string, body: unknown, query = ''): Promise<Answer> {
    const contentType = 'application/apply-patch+yaml';
    return this.call('PATCH', `${path}?fieldManager=${manager}${query}`, { body, contentType });
  }

  /** Reads until `isDone`, at most 20 s; fails with the last answer. */
  async until(path: string, isDone: (answer: Answer) => boolean): Promise<Answer> {
    const deadline = performance.now() + WAIT_MS;
    for (;;) {
      const answer = await this.get(path);
      if (isDone(answer)) return answer;
      if (performance.now() > deadline)
        throw new Error(`${path} did not come to what was expected: ${JSON.stringify(answer.body)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  watch(path: string, accept = 'application/json'): Promise<OpenWatch> {
    return new Promise((resolve, reject) => {
      const separator = path.includes('?') ? '&' : '?';
      const call = request(
        `${this.#endpoint.url}${path}${separator}watch=true`,
        { agent: this.#agent, headers: { authorization: `Bearer ${this.#endpoint.token}`, accept } },
        (response) => {
          const events: WatchEvent[] = [];
          const waiting = new Set<() => void>();
          let rest = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => {
            const lines = (rest + chunk).split('\n');
            rest = lines.pop() ?? '';
            for (const line of lines) if (line !== '') events.push(JSON.parse(line) as WatchEvent);
            for (const check of [...waiting]) check();
          });
          response.on('error', () => undefined);
          resolve({
            events,
            until: (matches) => waitFor(events, waiting, matches),
            close: () => call.destroy(),
          });
        },
      );
      call.once('error', reject);
      call.end();
    });
  }
}

function waitFor(
  events: readonly WatchEvent[],
  waiting: Set<() => void>,
  matches: (event: WatchEvent) => boolean,
): Promise<WatchEvent> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      waiting.delete(check);
      reject(
        new Error(
          `no such event came; there were ${JSON.stringify(events.map((event) => [event.type, event.object.metadata?.name]))}`,
        ),
      );
    }, WAIT_MS);
    const check = (): void => {
      const found = events.find(matches);
      if (found === undefined) return;
      waiting.delete(check);
      clearTimeout(timer);
      resolve(found);
    };
    waiting.add(check);
    check();
  });
}

function parse(text: string): Any {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
