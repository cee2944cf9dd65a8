import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createPmClient, type DeploymentRecordView, type PmClient, type Source } from '@oaas/commons/client/pm';
import { test as base } from '@playwright/test';
import { Console } from '../pages/console.ts';
import { type StartedSandbox, startSandbox } from '../sandbox/testing.ts';
import { eventually } from './eventually.ts';
import { freePortBase } from './ports.ts';
import { Repository } from './repository.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A started sandbox with what a user of it has at hand: PM's client, a clone, and the name of the seeded source. */
export interface Platform {
  readonly sandbox: StartedSandbox;
  readonly pm: PmClient;
  readonly source: string;
  readonly repository: Repository;
  /** Waits until the source has dealt with `commit`: applied it everywhere, or refused it. */
  settled(commit: string): Promise<Source>;
  records(filter?: Record<string, string>): Promise<readonly DeploymentRecordView[]>;
}

export async function openPlatform(sandbox: StartedSandbox): Promise<Platform> {
  const pm = createPmClient({ baseUrl: sandbox.ready.pm.url, token: sandbox.ready.pm.token });
  const sources = await pm.listSources();
  const source = sources.items[0]?.name ?? '';
  const repository = await Repository.clone(sandbox.ready.git.url);
  return {
    sandbox,
    pm,
    source,
    repository,
    settled: (commit) =>
      eventually(
        () => pm.getSource(source),
        (found) =>
          (found.applied_commit?.id === commit && found.phase === 'Synced') ||
          (found.attempted_commit?.id === commit && ['Refused', 'Failed'].includes(found.phase)),
        { what: `the source has dealt with ${commit}` },
      ),
    records: async (filter = {}) => (await pm.listRecords({ limit: 500, filter })).items,
  };
}

/** Context of a real cluster that stands for `cloud`; given by `npm run e2e:kind`. Without it the cluster is an embedded one. */
export const realContext = process.env['OAAS_E2E_CONTEXT'];

/** The examples of the repository, as files to copy from. */
export const examples = path.join(root, 'gitops-examples');

export const test = base.extend<{ console: Console }, { platform: Platform }>({
  platform: [
    // eslint-disable-next-line no-empty-pattern -- Playwright reads the fixtures a fixture needs from this pattern.
    async ({}, use) => {
      const sandbox = await startSandbox({
        dir: path.join(root, 'test-results', 'sandbox'),
        portBase: await freePortBase(17_400),
        fresh: true,
        ...(realContext === undefined ? {} : { clusters: { cloud: realContext } }),
      });
      const platform = await openPlatform(sandbox);
      await use(platform);
      platform.repository.remove();
      await sandbox.stop();
    },
    { scope: 'worker', timeout: 240_000 },
  ],
  console: async ({ page, platform }, use) => {
    const { url, user, password } = platform.sandbox.ready.console;
    const shown = new Console(page, url);
    await shown.enter(user, password);
    await use(shown);
  },
});

export { expect } from '@playwright/test';
