import { spawn, type ChildProcess } from 'node:child_process';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { git, gitEnvironment } from './command.ts';
import { type GitRepositories, openRepositories, type RepositorySeed } from './repositories.ts';
import { deliver, type PushWebhook, refUpdates, type WebhookDelivery } from './webhook.ts';

export interface GitServerOptions {
  /** Holds the bare repositories; what is there is served as it is. */
  readonly dir: string;
  /** @default 0, any free one */
  readonly port?: number;
  readonly repositories: readonly RepositorySeed[];
  /** Basic authentication for everything. Absent: open to everyone on this machine. */
  readonly auth?: { readonly username: string; readonly password: string };
  readonly onPush?: PushWebhook;
}

export interface GitServer extends GitRepositories {
  readonly port: number;
  /** http://127.0.0.1:<port> */
  readonly url: string;
  /** What to clone. */
  repositoryUrl(name: string): string;
  /** Calls of the webhook, newest last, at most 100. */
  readonly deliveries: readonly WebhookDelivery[];
  /** Requests that were answered, of all repositories. */
  requests(): number;
  stop(): Promise<void>;
}

/** Bytes of one request. A bigger push is answered 413. */
const bodyMaxBytes = 256 * 1024 * 1024;
const deliveriesMax = 100;
/** Requests in work at once; further ones are answered 503. */
const requestsMax = 64;

/** Serves repositories by the smart HTTP protocol through `git http-backend`, on 127.0.0.1 only. */
export async function startGitServer(options: GitServerOptions): Promise<GitServer> {
  const backend = join(await git(['--exec-path'], { cwd: options.dir }), 'git-http-backend');
  const repositories = await openRepositories(options.dir, options.repositories);
  const children = new Set<ChildProcess>();
  const deliveries: WebhookDelivery[] = [];
  let served = 0;

  const repositoryUrl = (name: string) => `http://127.0.0.1:${String(port)}/${name}.git`;
  const announce = async (name: string, before: ReadonlyMap<string, string>): Promise<void> => {
    if (options.onPush === undefined) return;
    for (const update of refUpdates(before, await repositories.refs(name))) {
      deliveries.push(await deliver(options.onPush, update, { name, url: repositoryUrl(name) }, repositories));
      if (deliveries.length > deliveriesMax) deliveries.shift();
    }
  };

  const server = createServer((request, response) => {
    served += 1;
    handle(request, response).catch(() => {
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });

  function refusalOf(request: IncomingMessage): number | undefined {
    if (!isAuthorised(request, options.auth)) return 401;
    if (Number(request.headers['content-length'] ?? 0) > bodyMaxBytes) return 413;
    return children.size >= requestsMax ? 503 : undefined;
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const name = /^\/([A-Za-z0-9][-A-Za-z0-9_.]*)\.git\//.exec(url.pathname)?.[1];
    const known = options.repositories.some((each) => each.name === name);
    const refusal = name === undefined || !known || url.pathname.includes('..') ? 404 : refusalOf(request);
    if (name === undefined || refusal !== undefined) {
      refuse(request, response, refusal ?? 404);
      return;
    }
    const isPush = request.method === 'POST' && url.pathname.endsWith('/git-receive-pack');
    const before = isPush ? await repositories.refs(name) : undefined;
    await runBackend(backend, options.dir, url, request, response, children);
    if (before !== undefined) await announce(name, before);
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    ...repositories,
    port,
    url: `http://127.0.0.1:${String(port)}`,
    repositoryUrl,
    deliveries,
    requests: () => served,
    async stop() {
      const closed = new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
      });
      server.closeAllConnections();
      for (const child of children) child.kill('SIGTERM');
      await closed;
    },
  };
}

function refuse(request: IncomingMessage, response: ServerResponse, status: number): void {
  request.resume();
  response.writeHead(status, status === 401 ? { 'www-authenticate': 'Basic realm="git"' } : {}).end();
}

function isAuthorised(request: IncomingMessage, auth: GitServerOptions['auth']): boolean {
  if (auth === undefined) return true;
  const expected = `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}`;
  return request.headers.authorization === expected;
}

/** One request by the Common Gateway Interface (RFC 3875). */
function runBackend(
  backend: string,
  root: string,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
  children: Set<ChildProcess>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const header = (name: string) => (typeof request.headers[name] === 'string' ? request.headers[name] : '');
    const child = spawn(backend, [], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: gitEnvironment({
        GIT_PROJECT_ROOT: root,
        GIT_HTTP_EXPORT_ALL: '1',
        PATH_INFO: decodeURIComponent(url.pathname),
        QUERY_STRING: url.search.slice(1),
        REQUEST_METHOD: request.method ?? 'GET',
        CONTENT_TYPE: header('content-type'),
        ...(header('content-length') === '' ? {} : { CONTENT_LENGTH: header('content-length') }),
        HTTP_CONTENT_ENCODING: header('content-encoding'),
        GIT_PROTOCOL: header('git-protocol'),
        REMOTE_USER: 'oaas',
        REMOTE_ADDR: '127.0.0.1',
      }),
    });
    children.add(child);
    const finish = (error?: Error) => {
      children.delete(child);
      if (error === undefined) resolve();
      else reject(error);
    };
    child.on('error', finish);
    response.on('close', () => child.kill('SIGTERM'));
    let received = 0;
    request.on('data', (chunk: Buffer) => {
      received += chunk.length;
      if (received > bodyMaxBytes) child.kill('SIGKILL');
    });
    request.pipe(child.stdin);
    child.stdin.on('error', () => {
      request.unpipe();
    });

    let head: Buffer | undefined = Buffer.alloc(0);
    child.stdout.on('data', (chunk: Buffer) => {
      if (head === undefined) {
        if (!response.write(chunk)) {
          child.stdout.pause();
          response.once('drain', () => child.stdout.resume());
        }
        return;
      }
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      writeHead(response, head.subarray(0, end).toString('latin1'));
      response.write(head.subarray(end + 4));
      head = undefined;
    });
    child.on('close', () => {
      if (!response.headersSent) response.writeHead(500);
      response.end();
      finish();
    });
  });
}

function writeHead(response: ServerResponse, text: string): void {
  let status = 200;
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).trim();
    if (name.toLowerCase() === 'status') status = Number.parseInt(value, 10);
    else response.setHeader(name, value);
  }
  response.writeHead(status);
}
