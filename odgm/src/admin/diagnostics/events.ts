import type { Finding } from '../../meta/index.ts';
import { type DiagnosticsInput, error, info, isAnswering, orWell, seconds, some, warning } from './types.ts';

/** Events that wait for longer than this are told: a call of a function has had its time by then. */
const lateMs = 60_000;

/** Triggers of objects: those that wait for their calls, those that failed for good, and what fails. */
export function events({ members }: DiagnosticsInput): Finding[] {
  const findings: Finding[] = [];
  const queues: string[] = [];
  for (const { record, report } of members.filter(isAnswering)) {
    const known = report?.events;
    if (known === undefined) continue;
    const { fires, waiting, oldestMs, deadLetters, dropped, inFlight, failing } = known;
    queues.push(`${record.id}: ${String(waiting)} wait, ${String(inFlight)} calls in flight`);
    if (!fires) {
      const evidence = waiting === 0 ? 'none wait' : `${String(waiting)} that were set off before wait`;
      const remedy = 'Set ODGM_EVENTS_ENABLED=true on all members, and run this version on all of them.';
      findings.push(info('events.off', `${record.id} fires no triggers: they are kept with objects`, evidence, remedy));
    } else if (waiting > 0 && oldestMs > lateMs) {
      const message = `triggers on ${record.id} are late`;
      const evidence = `${String(waiting)} wait, the oldest for ${seconds(oldestMs)}`;
      const remedy = 'Look at the functions that fail or are slow; give them more instances.';
      findings.push(warning('events.late', message, evidence, remedy));
    }
    for (const { target, failures, forMs, error: last } of failing) {
      const message = `calls of ${target} by triggers fail`;
      const evidence = `${String(failures)} in a row on ${record.id}, for ${seconds(forMs)}: ${last}`;
      findings.push(warning('events.failing', message, evidence, 'Look at the function, and at what it is told.'));
    }
    if (deadLetters > 0) {
      const message = `triggers on ${record.id} could not be delivered`;
      const evidence = `${String(deadLetters)} dead letters`;
      const remedy = 'Look at /admin/dead-letters; replay them once the reason is gone, or purge them.';
      findings.push(warning('events.dead-letters', message, evidence, remedy));
    }
    if (dropped > 0) {
      const message = `dead letters on ${record.id} were lost for want of room`;
      const remedy = 'Purge or replay dead letters before there are 10,000 of a shard.';
      findings.push(error('events.dropped', message, `${String(dropped)} since their shards began`, remedy));
    }
  }
  return orWell(findings, info('events.ok', 'triggers are delivered', some(queues)));
}
