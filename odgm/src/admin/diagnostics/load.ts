import { collectionOptionProblems, collectionOptionValues } from '@oaas/commons/config';
import type { CollectionSpec, Finding } from '../../meta/index.ts';
import { type DiagnosticsInput, error, info, isAnswering, orWell, some, warning } from './types.ts';

/** 99th percentiles above this are told. */
const slowMs = 250;
/** How late timers may be. */
const delayMs = 100;
/** Bytes that may wait to be brought from the journal into the base; storage makes writes wait at 64 MiB. */
const unflushedBytes = 48 * 1024 * 1024;

/** How long operations take, and what makes them slow. */
export function performance({ members }: DiagnosticsInput): Finding[] {
  const findings: Finding[] = [];
  const rates: string[] = [];
  for (const { record, report } of members.filter(isAnswering)) {
    for (const { name, performanceStats } of report?.collections ?? []) {
      if (performanceStats === undefined) continue;
      const { readsPerSecond, writesPerSecond, readP99Ms, writeP99Ms } = performanceStats;
      if (readsPerSecond + writesPerSecond > 0) {
        rates.push(
          `${name} on ${record.id}: ${readsPerSecond.toFixed(0)} reads/s, ${writesPerSecond.toFixed(0)} writes/s`,
        );
      }
      for (const [what, ms] of [['reads', readP99Ms] as const, ['writes', writeP99Ms] as const]) {
        if (ms <= slowMs) continue;
        const message = `${what} of ${name} on ${record.id} are slow`;
        const remedy = 'Look at the load of the member and its disk; spread leaders, or use more partitions.';
        findings.push(warning('performance.slow', message, `99 % within ${ms.toFixed(0)} ms`, remedy));
      }
    }
    const { eventLoopDelayMs = 0, unflushedBytes: waiting = 0 } = report?.resources ?? {};
    if (eventLoopDelayMs > delayMs) {
      const message = `${record.id} is late with everything`;
      const evidence = `timers are ${eventLoopDelayMs.toFixed(0)} ms late (99th percentile)`;
      findings.push(
        warning('performance.event-loop', message, evidence, 'Give it more processor time, or move leaders away.'),
      );
    }
    if (waiting > unflushedBytes) {
      const message = `the disk of ${record.id} does not keep up with the writes`;
      const evidence = `${mebibytes(waiting)} wait to be brought into the base`;
      findings.push(warning('performance.disk', message, evidence, 'Use a faster disk, or move leaders away.'));
    }
  }
  const evidence = rates.length === 0 ? 'no operations in the last seconds' : some(rates);
  return orWell(findings, info('performance.ok', 'operations are as fast as they should be', evidence));
}

/** What members use, and how much is left. */
export function resources({ state, members }: DiagnosticsInput): Finding[] {
  const findings = [...state.collections.values()].flatMap(({ spec }) => wrongOptions(spec));
  const use: string[] = [];
  for (const { record, report } of members.filter(isAnswering)) {
    const used = report?.resources;
    if (report === undefined || used === undefined) continue;
    const { memoryLimitBytes, diskFreeBytes, diskTotalBytes, cpuPercent, storageBytes, storageRefusal } = used;
    use.push(
      `${record.id}: ${cpuPercent.toFixed(0)} % of a core, ${mebibytes(report.memoryBytes)} memory, ${mebibytes(storageBytes)} stored`,
    );
    const memory = memoryLimitBytes === 0 ? 0 : report.memoryBytes / memoryLimitBytes;
    if (memory > 0.9) {
      const evidence = `${mebibytes(report.memoryBytes)} of ${mebibytes(memoryLimitBytes)}`;
      findings.push(
        warning(
          'resources.memory',
          `${record.id} has little memory left`,
          evidence,
          'Give it more memory, or move shards away.',
        ),
      );
    }
    if (storageRefusal !== '') {
      const message = `${record.id} takes no writes`;
      const remedy = 'Make room on its disk, or move shards away; it goes on by itself when there is room.';
      findings.push(error('resources.storage-full', message, storageRefusal, remedy));
    }
    const free = diskTotalBytes === 0 ? 1 : diskFreeBytes / diskTotalBytes;
    const evidence = `${mebibytes(diskFreeBytes)} of ${mebibytes(diskTotalBytes)} are free`;
    const remedy = 'Add disk space, delete objects, or move shards away: without space the member takes no writes.';
    if (free < 0.05)
      findings.push(error('resources.disk', `the disk of ${record.id} is almost full`, evidence, remedy));
    else if (free < 0.15)
      findings.push(warning('resources.disk', `the disk of ${record.id} fills up`, evidence, remedy));
  }
  return orWell(findings, info('resources.ok', 'members have what they need', some(use, 10)));
}

/** Options that a former version of the program took: a collection that has them is served as if they were not there. */
function wrongOptions({ name, options }: CollectionSpec): Finding[] {
  return collectionOptionProblems(options).map(({ option, message, remedy }) => {
    const values: Readonly<Record<string, number>> = collectionOptionValues(options);
    const effect = values[option] === undefined ? 'it is ignored' : `${String(values[option])} counts instead`;
    return warning(
      'resources.option',
      `collection ${name} has an option that it cannot have`,
      `${message}; ${effect}`,
      remedy,
    );
  });
}

function mebibytes(bytes: number): string {
  return `${(bytes / (1024 * 1024)).toFixed(0)} MiB`;
}
