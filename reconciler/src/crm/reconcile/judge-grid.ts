import { toRfc3339 } from '@oaas/commons/time';
import type { GridStatus } from '../../record/index.ts';
import type { GridObservation } from '../observe/grid.ts';
import type { Facts } from './facts.ts';
import type { Verdict } from './summarise.ts';

/** Numbers of objects that change all the time are written to the record at most this often. */
export const gridNumbersEveryMs = 60_000;

/** Data axis of a record. A grid that was not heard is `Unknown`, never healthy. */
export function judgeGrid(facts: Facts): Verdict {
  const { grid } = facts;
  if (grid === undefined)
    return { status: 'Unknown', reason: 'GridStarting', message: 'the grid has not answered yet' };
  if (!grid.result.ok) return { status: 'Unknown', reason: 'GridUnreachable', message: grid.result.message };
  const { status } = grid.result;
  const refused = status.unavailable.find(({ refusal }) => refusal !== undefined);
  if (refused?.refusal !== undefined) {
    return { status: 'False', reason: refused.refusal, message: `collection ${refused.name}: ${refused.reason}` };
  }
  const expected = facts.layout?.effective;
  const membersTotal = Math.max(status.membersTotal, expected?.nodeCount ?? 0);
  const counts = summary({ ...status, membersTotal });
  if (status.membersReady < membersTotal || status.shardsReady < status.shardsTotal) {
    const [down] = status.unavailable;
    const why = down === undefined ? '' : `; collection ${down.name}: ${down.reason}`;
    return { status: 'False', reason: 'GridIncomplete', message: counts + why };
  }
  const missing = (expected?.collections ?? []).filter(
    ({ name }) => !status.collections?.some((collection) => collection.name === name),
  );
  if (missing.length > 0) {
    const message = `the grid does not have ${missing.map(({ name }) => name).join(', ')} yet`;
    return { status: 'False', reason: 'GridStarting', message };
  }
  return { status: 'True', reason: 'GridReady', message: counts };
}

/**
 * The grid's part of the status. Counts of objects move all the time, and each write of a status is work for everybody
 * who watches: they are taken over with other changes, or when they are a minute old.
 */
export function gridStatus(
  observation: GridObservation | undefined,
  previous: GridStatus | undefined,
  now: number,
): GridStatus | undefined {
  if (observation?.result.ok !== true) return previous;
  const { unavailable, ...numbers } = observation.result.status;
  const note = unavailable.length === 0 ? '' : `, ${String(unavailable.length)} unavailable`;
  const next: GridStatus = { ...numbers, summary: summary(numbers) + note, observedAt: toRfc3339(observation.at) };
  if (previous?.observedAt === undefined || shape(previous) !== shape(next)) return next;
  const age = now - Date.parse(previous.observedAt);
  const isMoved = previous.objects !== next.objects || previous.bytes !== next.bytes;
  return isMoved && age >= gridNumbersEveryMs ? next : previous;
}

function shape(status: GridStatus): string {
  const { membersTotal, membersReady, shardsTotal, shardsReady, collections = [] } = status;
  const parts = collections.map((one) => [
    one.name,
    one.shardType,
    one.partitionCount,
    one.replicaCount,
    one.shardsReady,
  ]);
  // Whether it holds anything decides what may be done to it.
  return JSON.stringify([
    status.clusterId,
    membersTotal,
    membersReady,
    shardsTotal,
    shardsReady,
    status.objects > 0,
    parts,
  ]);
}

function summary(status: Pick<GridStatus, 'membersReady' | 'membersTotal' | 'shardsReady' | 'shardsTotal'>): string {
  const part = (ready: number, total: number, noun: string) => `${String(ready)}/${String(total)} ${noun}`;
  return `${part(status.membersReady, status.membersTotal, 'nodes')}, ${part(status.shardsReady, status.shardsTotal, 'shards')}`;
}
