import { createHmac, randomUUID } from 'node:crypto';
import type { GitRepositories } from './repositories.ts';

/** Whom to tell about pushes, as a repository's settings on a forge say it. */
export interface PushWebhook {
  /** Gets `POST`; `{repository}` stands for the repository's name. */
  readonly url: string;
  readonly secret: string;
}

/** One call of the webhook, as a forge lists them. */
export interface WebhookDelivery {
  readonly id: string;
  readonly repository: string;
  readonly ref: string;
  readonly after: string;
  /** Status of the answer; null where there was none. */
  readonly status: number | null;
}

export interface RefUpdate {
  readonly ref: string;
  /** 40 zeros: the ref is new. */
  readonly before: string;
  /** 40 zeros: the ref is gone. */
  readonly after: string;
}

const zero = '0'.repeat(40);
/** How long an answer may take, as GitHub has it. */
const timeoutMs = 10_000;

export function refUpdates(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): readonly RefUpdate[] {
  return [...new Set([...before.keys(), ...after.keys()])]
    .map((ref) => ({ ref, before: before.get(ref) ?? zero, after: after.get(ref) ?? zero }))
    .filter((update) => update.before !== update.after);
}

/** Calls the webhook as GitHub does: the push event, signed, once, without another try. */
export async function deliver(
  hook: PushWebhook,
  update: RefUpdate,
  repository: { readonly name: string; readonly url: string },
  repositories: GitRepositories,
): Promise<WebhookDelivery> {
  const id = randomUUID();
  const body = JSON.stringify(await pushPayload(update, repository, repositories));
  const signature = `sha256=${createHmac('sha256', hook.secret).update(body).digest('hex')}`;
  let status: number | null = null;
  try {
    const response = await fetch(hook.url.replace('{repository}', repository.name), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'user-agent': 'OaaS-Hookshot',
        'x-github-event': 'push',
        'x-github-delivery': id,
        'x-hub-signature-256': signature,
      },
      body,
      signal: AbortSignal.timeout(timeoutMs),
    });
    status = response.status;
    await response.body?.cancel();
  } catch {
    // Whoever listens is away; the poll finds the commit.
  }
  return { id, repository: repository.name, ref: update.ref, after: update.after, status };
}

async function pushPayload(
  update: RefUpdate,
  repository: { readonly name: string; readonly url: string },
  repositories: GitRepositories,
): Promise<unknown> {
  const deleted = update.after === zero;
  const created = update.before === zero;
  const text = deleted
    ? ''
    : await repositories.git(repository.name, 'log', '-1', '--format=%an%n%ae%n%aI%n%B', update.after);
  const [name = '', email = '', timestamp = '', ...message] = text.split('\n');
  const forced = created || deleted ? false : !(await isAncestor(update, repository.name, repositories));
  const head = deleted
    ? null
    : {
        id: update.after,
        message: message.join('\n').trim(),
        timestamp,
        author: { name, email },
        added: [],
        removed: [],
        modified: [],
      };
  return {
    ref: update.ref,
    before: update.before,
    after: update.after,
    created,
    deleted,
    forced,
    repository: {
      name: repository.name,
      full_name: `oaas/${repository.name}`,
      clone_url: repository.url,
      html_url: repository.url.replace(/\.git$/, ''),
      default_branch: 'main',
    },
    pusher: { name, email },
    head_commit: head,
    commits: head === null ? [] : [head],
  };
}

async function isAncestor(update: RefUpdate, name: string, repositories: GitRepositories): Promise<boolean> {
  try {
    await repositories.git(name, 'merge-base', '--is-ancestor', update.before, update.after);
    return true;
  } catch {
    return false;
  }
}
