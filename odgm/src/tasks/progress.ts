import type { TaskRecord } from '../meta/index.ts';

/** What was done at a time; kept for the speed of the last minute. */
export interface ProgressSample {
  readonly at: number;
  readonly bytes: number;
}

const windowMs = 60_000;
const maxSamples = 64;

/** The samples with one more: those of the last minute, at most 64 and at most one a second. */
export function addSample(samples: readonly ProgressSample[], sample: ProgressSample): ProgressSample[] {
  const last = samples.at(-1);
  const others = last !== undefined && sample.at - last.at < 1000 ? samples.slice(0, -1) : samples;
  const first = others.length === 0 && last !== undefined ? [last] : others;
  return [...first, sample].filter(({ at }) => sample.at - at <= windowMs).slice(-maxSamples);
}

export interface Progress {
  readonly shardsDone: number;
  readonly shardsTotal: number;
  readonly bytesDone: number;
  readonly bytesTotal: number;
  /** 0 to 1: by bytes where there are any, else by shards. 1 exactly when nothing is left. */
  readonly fraction: number;
  /** Of the last minute; 0 while nothing is copied. */
  readonly bytesPerSecond: number;
  /** Undefined while there is nothing to guess from. */
  readonly etaSeconds: number | undefined;
}

/** How far a task is. Moves that were skipped or failed count as done: they will not be waited for. */
export function progressOf(task: TaskRecord, samples: readonly ProgressSample[], now: number): Progress {
  const isOver = task.finishedAt !== undefined;
  const settled = task.movesDone + task.movesSkipped + task.movesFailed;
  // Bytes of moves that ended otherwise are not copied any more, so that the rest does not hang below all.
  const lost = task.moves.reduce((sum, { state, bytes, bytesDone }) => {
    const isLost = state === 'skipped' || state === 'failed' || state === 'cancelled';
    return isLost ? sum + bytes - bytesDone : sum;
  }, 0);
  const bytesTotal = isOver ? task.bytesDone : task.bytesTotal - lost;
  const bytesLeft = Math.max(0, bytesTotal - task.bytesDone);
  const shardsLeft = isOver ? 0 : task.movesTotal - settled;
  const [first, last] = [samples[0], samples.at(-1)];
  const elapsed = first === undefined || last === undefined ? 0 : last.at - first.at;
  const bytesPerSecond = elapsed <= 0 ? 0 : (((last?.bytes ?? 0) - (first?.bytes ?? 0)) * 1000) / elapsed;
  return {
    shardsDone: settled,
    shardsTotal: task.movesTotal,
    bytesDone: task.bytesDone,
    bytesTotal,
    fraction: fractionOf(bytesTotal, bytesLeft, task.movesTotal, shardsLeft),
    bytesPerSecond,
    etaSeconds: etaOf(task, settled, shardsLeft, bytesLeft, bytesPerSecond, now),
  };
}

function fractionOf(bytesTotal: number, bytesLeft: number, shardsTotal: number, shardsLeft: number): number {
  if (shardsLeft === 0) return 1;
  const byShards = 1 - shardsLeft / shardsTotal;
  const byBytes = bytesTotal === 0 ? byShards : 1 - bytesLeft / bytesTotal;
  // Data may all be there while the last shards still change: that is not all.
  return Math.min(byBytes, 0.99);
}

function etaOf(
  task: TaskRecord,
  settled: number,
  shardsLeft: number,
  bytesLeft: number,
  bytesPerSecond: number,
  now: number,
): number | undefined {
  if (shardsLeft === 0) return 0;
  if (bytesLeft > 0) return bytesPerSecond > 0 ? bytesLeft / bytesPerSecond : undefined;
  const elapsed = now - (task.startedAt ?? now);
  return settled > 0 && elapsed > 0 ? (elapsed / 1000 / settled) * shardsLeft : undefined;
}
