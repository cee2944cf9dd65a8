import { createGridAdminClient, type GridAdminClient } from '@oaas/commons/client';
import { eventually, tempDir, type TempDir } from '@oaas/commons/testkit';
import { type RunningNode, startNode } from '@oaas/odgm/testkit';
import { counterUnit, type CrmUnderTest, startCrm, token } from '@oaas/reconciler/testkit/crm-under-test';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** A CRM and a node of a grid, both real: what a CRM passes on of the grid's tasks. */
let directory: TempDir;
let node: RunningNode;
let crm: CrmUnderTest;
let client: GridAdminClient;

const unit = counterUnit('tasks');
const deploymentId = unit.id;

beforeAll(async () => {
  directory = await tempDir();
  node = await startNode({ dataDir: directory.path, collections: [{ name: 'c', partitionCount: 2 }] });
  crm = await startCrm(node.admin);
  client = createGridAdminClient(crm.channel, { metadata: { authorization: `Bearer ${token}` } });
  await crm.client.deploy({ deploymentUnit: unit });
  // The way to the grid is a service that the CRM makes.
  await eventually(() => client.listTasks({ deploymentId }).then(() => true));
}, 60_000);
afterAll(async () => {
  await crm.stop();
  await node.stop();
  await directory.remove();
});

const direct = () => createGridAdminClient(node.channel);
const paused = { kind: 'consistency-check', collection: 'c', options: { checks: '0' } };

describe('tasks of a grid through its CRM', () => {
  it('are planned, started, listed, throttled, watched and end as they do on the grid itself', async () => {
    const plan = await client.planTask({ deploymentId, kind: 'consistency-check', collection: 'c' });
    expect(plan).toMatchObject({ kind: 'consistency-check', moves: [{ what: 'check' }, { what: 'check' }] });
    expect((await client.listTasks({ deploymentId })).tasks).toEqual([]);
    const metadata = { 'x-oaas-actor': 'ann', authorization: `Bearer ${token}` };
    const started = await client.startTask({ deploymentId, ...paused, planId: plan.planId }, { metadata });
    expect(started).toMatchObject({ kind: 'consistency-check', state: 'running', actor: 'ann', collection: 'c' });
    expect(started.options['checks']).toBe('0');
    const { id: taskId } = started;
    // Somebody takes it on meanwhile.
    await eventually(async () => {
      expect(await client.getTask({ deploymentId, taskId })).toEqual(await direct().getTask({ taskId }));
    });

    const seen: string[] = [];
    const watching = (async () => {
      for await (const { state } of client.watchTask({ deploymentId, taskId })) seen.push(state);
    })();
    await eventually(() => seen.length > 0);
    const throttled = await client.updateTask({ deploymentId, taskId, options: { checks: '2' } });
    expect(throttled.options['checks']).toBe('2');
    await watching;
    expect([seen[0], seen.at(-1)]).toEqual(['running', 'succeeded']);
    const task = await client.getTask({ deploymentId, taskId });
    expect(task.checks.map(({ status }) => status)).toEqual(['consistent', 'consistent']);
    expect(task).toEqual(await direct().getTask({ taskId }));
  });

  it('are cancelled, and listed page by page', async () => {
    const { id: taskId } = await client.startTask({ deploymentId, ...paused });
    expect(await client.cancelTask({ deploymentId, taskId })).toMatchObject({ id: taskId });
    await eventually(async () => {
      expect((await client.getTask({ deploymentId, taskId })).state).toBe('cancelled');
    });
    const first = await client.listTasks({ deploymentId, limit: 1 });
    expect(first.tasks.map(({ id }) => id)).toEqual([taskId]);
    const second = await client.listTasks({ deploymentId, limit: 1, cursor: first.nextCursor });
    expect(second.tasks.map(({ id }) => id)).not.toEqual([taskId]);
  });

  it('are refused as the grid refuses them, with its remedy, and without the token, by the CRM', async () => {
    const stranger = createGridAdminClient(crm.channel);
    const ask = { deploymentId, ...paused };
    await expect(stranger.startTask(ask)).rejects.toMatchObject({ code: 'Unauthenticated' });
    await expect(stranger.listTasks({ deploymentId })).rejects.toMatchObject({ code: 'Unauthenticated' });
    for (const [call, code, text] of [
      [() => client.startTask({ deploymentId, kind: 'shuffle' }), 'InvalidArgument', 'kind'],
      [
        () => client.startTask({ deploymentId, kind: 'rebalance', options: { movesPerNod: '1' } }),
        'InvalidArgument',
        'Nod',
      ],
      [
        () => client.startTask({ deploymentId, kind: 'rebalance', options: { dry_run: 'x' } }),
        'InvalidArgument',
        'dry_run',
      ],
      [() => client.startTask({ deploymentId, kind: 'drain', member: 'nobody' }), 'NotFound', 'nobody'],
      [() => client.startTask({ ...ask, planId: 'old' }), 'FailedPrecondition', 'plan'],
      [() => client.getTask({ deploymentId, taskId: '99' }), 'NotFound', '99'],
      [() => client.getTask({ deploymentId }), 'InvalidArgument', 'task_id'],
      [() => client.listTasks({ deploymentId, cursor: '-' }), 'InvalidArgument', 'cursor'],
      [() => client.startTask(paused), 'InvalidArgument', 'deployment_id'],
      [() => client.startTask({ ...paused, deploymentId: 'none' }), 'NotFound', 'none'],
      [() => client.deleteCollection({ deploymentId, name: 'c' }), 'Unimplemented', ''],
    ] as const) {
      await expect(call()).rejects.toMatchObject({ code, message: expect.stringContaining(text) as string });
    }
  });
});
